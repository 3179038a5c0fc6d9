"""Where an instance keeps what is asked of it by its token or by its service's name.

Both take the path as it was sent and answer with a path as it will be sent: the first segments are cut off literally,
nothing is decoded in the result. Paths come here after dot segments and control characters were refused.
"""

from urllib.parse import unquote

from hydra_asgi.core.instance import Dialect, ServiceInstance

__all__ = ["service_static_target", "token_target"]

_SOCKET = b"socket"
_STATIC = b"/static/"
_WEBJARS = "webjars/"
"""Medusa lists its webjars with its static files and serves them elsewhere (CONTRACT.md 3.3)."""


def token_target(raw_path: bytes, instance: ServiceInstance) -> bytes | None:
    """The target for `/{token}/{rest}`.

    Args:
        raw_path: the path of the request, without its query.
        instance: whose token the first segment is.

    Returns:
        `/socket` for the instance's socket, else where the file lies; None when the instance has no such thing.
    """
    _, found, rest = raw_path[1:].partition(b"/")
    if not found or not rest:
        return None
    return b"/" + _SOCKET if rest == _SOCKET else _file(rest, instance)


def service_static_target(raw_path: bytes, instance: ServiceInstance) -> bytes | None:
    """The target for `/{service}/static/{rest}` at an instance of that service; None when it has no such file."""
    _, folder, rest = raw_path[1:].partition(_STATIC)
    return _file(rest, instance) if folder and rest else None


def _file(rest: bytes, instance: ServiceInstance) -> bytes | None:
    """Our nodes serve their static folder whole; of a Medusa nothing is reachable but what it listed."""
    if instance.dialect is Dialect.HYDRA:
        return _STATIC + rest
    listed = unquote(rest.decode("latin-1"))
    if listed not in instance.resources or listed.endswith("/"):
        return None
    return b"/" + rest if listed.startswith(_WEBJARS) else _STATIC + rest
