"""Finds out what an app answers, so that the rest of the site can be told."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.core.routing.template_dialects import prefixed
from hydra_asgi.discovery import quart_routes, starlette_routes
from hydra_asgi.discovery.found import Discovery, Finding, FoundRoute, Place, rest_of
from hydra_asgi.discovery.overlap import overlapping
from hydra_asgi.discovery.publication import Exclusions, declared_route, hide, with_declared
from hydra_asgi.discovery.unwrap import framework_apps
from hydra_asgi.errors import ConfigurationError, TemplateError

__all__ = ["Discovery", "FoundRoute", "describe", "discover", "is_framework"]

MAX_MOUNTS = 16
"""Apps mounted in apps; deeper than this an app is most likely mounted in itself."""

_GET = frozenset({"GET"})
_REST = "/{path:path}"


def is_framework(thing: object) -> bool:
    """Whether its routes can be read."""
    return quart_routes.is_quart(thing) or starlette_routes.is_starlette(thing)


def discover(
    app: object,
    *,
    routes: Sequence[Route | str] = (),
    exclude: Sequence[str] = (),
    prefix: str = "",
    unpublished: Container[object] = (),
) -> Discovery:
    """Read the routes of an app.

    Args:
        app: any ASGI callable, or the framework app that a scope names under `app`.
        routes: routes the author names: new ones, or found ones that would be hidden.
        exclude: templates, or prefixes that end in `/*`, as the app has them; nothing overrules it.
        prefix: publish everything below this path.
        unpublished: endpoints that are not pages, such as functions that are only fragments.

    Returns:
        Every route with the reason why it is hidden, if it is. An app that cannot be read and for which `routes`
        names nothing answers everything.

    Raises:
        ConfigurationError: an entry of `routes` or `exclude`, or the prefix, cannot be read.
    """
    _check_prefix(prefix)
    exclusions = Exclusions(exclude)
    declared = [declared_route(entry) for entry in routes]
    apps = framework_apps(app, is_framework)
    problems = [_ambiguous(apps)] if len(apps) > 1 else []
    found: list[FoundRoute] = []
    for finding in _findings(apps, has_declared=bool(declared)):
        placed = _below(prefix, finding)
        if isinstance(placed, str):
            problems.append(placed)
        else:
            found.append(hide(placed, exclude=exclusions, unpublished=unpublished))
    found = with_declared(found, declared, prefix, exclusions)
    problems.extend(_duplicates(found))
    catch_all = len(apps) != 1 and not declared
    return Discovery(tuple(found), _framework(apps), catch_all, tuple(problems))


def _findings(apps: tuple[object, ...], *, has_declared: bool) -> Iterator[Finding]:
    if len(apps) == 1:
        yield from _read(apps[0], Place())
    elif not has_declared:
        yield from rest_of("/", Place(), source="asgi")
        yield from rest_of(_REST, Place(), source="asgi")


def _read(app: object, place: Place) -> Iterator[Finding]:
    """Read an app, mounted somewhere or not."""
    if place.depth > MAX_MOUNTS:
        yield f"{place.prefix[:80]!r}: {MAX_MOUNTS} apps are mounted in each other, what is deeper is not published"
        return
    apps = framework_apps(app, _is_readable)
    if len(apps) != 1:
        yield from rest_of(prefixed(place.prefix, _REST), place, source="asgi")
    elif quart_routes.is_quart(apps[0]):
        yield from quart_routes.read_quart(apps[0], place)
    elif starlette_routes.is_static_files(apps[0]):
        yield from rest_of(prefixed(place.prefix, _REST), place, source="starlette", methods=_GET)
    else:
        yield from starlette_routes.read_starlette(apps[0], place, _read)


def _is_readable(thing: object) -> bool:
    return is_framework(thing) or starlette_routes.is_static_files(thing)


def _framework(apps: tuple[object, ...]) -> str:
    if len(apps) != 1:
        return "asgi"
    if quart_routes.is_quart(apps[0]):
        return quart_routes.framework_of(apps[0])
    return starlette_routes.framework_of(apps[0])


def _check_prefix(prefix: str) -> None:
    try:
        prefixed(prefix, "/")
    except TemplateError as error:
        raise ConfigurationError(f"prefix= is {prefix[:120]!r}: {error}") from error


def _below(prefix: str, finding: Finding) -> Finding:
    if isinstance(finding, str) or not prefix:
        return finding
    try:
        template = prefixed(prefix, finding.route.template)
    except TemplateError as error:  # too long, or too many parameters, together
        return str(error)
    return replace(finding, route=replace(finding.route, template=template))


def _ambiguous(apps: tuple[object, ...]) -> str:
    names = ", ".join(type(app).__name__ for app in apps)
    return f"the app leads to {len(apps)} apps ({names}) and nobody can say which paths are whose: name them in routes="


def _duplicates(found: Sequence[FoundRoute]) -> Iterator[str]:
    public = [route for route in found if not route.hidden]
    for earlier, later in overlapping(route.route for route in public):
        yield (
            f"{describe(public[earlier].route)} is there twice: {_name(public[earlier])} answers, "
            f"{_name(public[later])} is never reached"
        )


def describe(route: Route) -> str:
    """A route in words: `GET,POST /x/{id}`, `WEBSOCKET /ws`, with its host in front of the path."""
    methods = "ANY" if route.methods is None else ",".join(sorted(route.methods))
    return f"{'WEBSOCKET' if route.kind is RouteKind.WEBSOCKET else methods} {route.host or ''}{route.template}"


def _name(found: FoundRoute) -> str:
    if found.endpoint is None:
        return f"{found.source} {found.local}"
    named = found.endpoint if hasattr(found.endpoint, "__qualname__") else type(found.endpoint)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', '')}"
