"""Reads the routes of a Quart app from its `url_map`; a Flask app behind a WSGI adapter has the same.

Neither is imported.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.core.routing.endpoint import original
from hydra_asgi.core.routing.template_dialects import from_werkzeug, prefixed
from hydra_asgi.discovery.found import Finding, FoundRoute, Place, normal_methods
from hydra_asgi.discovery.peek import peek
from hydra_asgi.discovery.publication import OWN_FILES
from hydra_asgi.errors import TemplateError

__all__ = ["framework_of", "is_quart", "read_quart"]

_HOST_PARAMETER = re.compile(r"<(?:[^<>:]*:)?([A-Za-z_][A-Za-z0-9_]*)>")


def is_quart(thing: object) -> bool:
    """Whether it is an app whose routes are in a Werkzeug map."""
    return callable(peek(peek(thing, "url_map"), "iter_rules"))


def framework_of(app: object) -> str:
    """`quart` or `flask`: by the module of the app's class or of a base of it."""
    roots = {base.__module__.partition(".")[0] for base in type(app).__mro__}
    return "quart" if "quart" in roots else "flask"


def read_quart(app: object, place: Place) -> Iterator[Finding]:
    """All rules of an app.

    Its own `/static` is hidden: under one site every app has one. Files are published as `/{service}/static/...`.
    """
    views = peek(app, "view_functions")
    functions: Mapping[str, object] = views if isinstance(views, Mapping) else {}
    rules: Callable[[], Iterator[object]] | object = peek(peek(app, "url_map"), "iter_rules")
    for rule in rules() if callable(rules) else ():
        if peek(rule, "build_only"):  # a name for making URLs; it answers nothing
            continue
        try:
            yield _read_rule(rule, functions, place, app)
        except TemplateError as error:
            yield str(error)


def _read_rule(rule: object, functions: Mapping[str, object], place: Place, app: object) -> FoundRoute:
    template = prefixed(place.prefix, from_werkzeug(str(peek(rule, "rule"))))
    endpoint = peek(rule, "endpoint")
    is_socket = bool(peek(rule, "websocket"))
    automatic = peek(rule, "provide_automatic_options") is not False
    methods = None if is_socket else normal_methods(peek(rule, "methods"), automatic_options=automatic)
    kind = RouteKind.WEBSOCKET if is_socket else RouteKind.HTTP
    hidden = OWN_FILES if endpoint == "static" else ""
    function = functions.get(endpoint) if isinstance(endpoint, str) else None
    public = Route(template, methods, kind, _host_of(rule, app) or place.host)
    return FoundRoute(public, original(function), framework_of(app), hidden, template)


def _host_of(rule: object, app: object) -> str | None:
    """The host of a rule with host matching, or its subdomain below the configured server name."""
    host = peek(rule, "host")
    if not host and (subdomain := peek(rule, "subdomain")):
        config = peek(app, "config")
        server = config.get("SERVER_NAME") if isinstance(config, Mapping) else None
        host = f"{subdomain}.{server}" if server else None
    if not isinstance(host, str) or not host:
        return None
    return _HOST_PARAMETER.sub(r"{\1}", host).partition(":")[0].lower()
