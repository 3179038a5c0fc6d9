"""What each app publishes, and where two apps, or two routes of one app, claim the same requests."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hydra_asgi.discovery.discover import Discovery, describe, discover, is_framework
from hydra_asgi.discovery.overlap import overlapping
from hydra_asgi.discovery.peek import peek
from hydra_asgi.discovery.unwrap import framework_apps, wrapped_by

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
    hydra = _mounted(app)
    declarations = peek(hydra, "declarations")
    discovery = discover(
        app,
        routes=_texts(peek(hydra, "routes")),
        exclude=_texts(peek(hydra, "exclude")),
        prefix=str(peek(hydra, "prefix") or "") if prefix is None else prefix,
        unpublished=_container(peek(declarations, "unpublished")),
    )
    return Survey(name, str(peek(hydra, "service") or ""), discovery)


def conflicts(surveys: Sequence[Survey]) -> Iterator[tuple[str, bool]]:
    """Every two published routes that claim the same requests: a sentence, and whether they are of two apps."""
    claims = [(survey.app, route) for survey in surveys for route in survey.discovery.published]
    for earlier, later in overlapping(route for _, route in claims):
        (one, route), (other, _) = claims[earlier], claims[later]
        sentence = f"{describe(route)} is published by {one} and by {other}: the one that registers first answers it"
        yield sentence, one != other


def _mounted(app: object) -> object | None:
    """The node of the middleware that is mounted: around the app, or in the framework's own list."""
    for wrapper in (*wrapped_by(app), *framework_apps(app, is_framework)):
        found = peek(wrapper, "hydra")
        if found is not None:
            return found
        entries = peek(wrapper, "user_middleware")
        for entry in entries if isinstance(entries, list) else ():
            options = peek(entry, "kwargs")
            if isinstance(options, Mapping) and options.get("hydra") is not None:
                given: object = options["hydra"]
                return given
    return None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, tuple | list) else ()


def _container(value: object) -> Container[object]:
    return value if isinstance(value, tuple | list | set | frozenset) else ()
