"""What each app publishes, and where two apps, or two routes of one app, claim the same requests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra_asgi.discovery.discover import Discovery, describe, discover
from hydra_asgi.discovery.overlap import overlapping
from hydra_asgi.middleware import node_of
from hydra_asgi.options import read_options

__all__ = ["Survey", "conflicts", "survey"]


@dataclass(frozen=True, slots=True)
class Survey:
    """One app: the name it was loaded by, its service name where one is mounted, and its routes."""

    app: str
    service: str
    discovery: Discovery


def survey(name: str, app: object, *, prefix: str | None) -> Survey:
    """Read an app's routes with the options of the middleware that is mounted on it.

    Args:
        name: what it was loaded by.
        app: the ASGI app.
        prefix: overrules the mounted prefix; None leaves it.

    Raises:
        ConfigurationError: an option cannot be read.
    """
    hydra = node_of(app)
    options = read_options({}, {}) if hydra is None else hydra.options
    discovery = discover(
        app,
        routes=options.routes,
        exclude=options.exclude,
        prefix=options.prefix if prefix is None else prefix,
        unpublished=() if hydra is None else hydra.declarations.unpublished,
    )
    return Survey(name, options.service, discovery)


def conflicts(surveys: Sequence[Survey]) -> Iterator[tuple[str, bool]]:
    """Every two published routes that claim the same requests: a sentence, and whether they are of two apps."""
    claims = [(survey.app, route) for survey in surveys for route in survey.discovery.published]
    for earlier, later in overlapping(route for _, route in claims):
        (one, route), (other, _) = claims[earlier], claims[later]
        sentence = f"{describe(route)} is published by {one} and by {other}: the one that registers first answers it"
        yield sentence, one != other
