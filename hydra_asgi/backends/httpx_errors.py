"""Turns what an httpx-shaped transport raises into our own closed list of failures.

`httpx2` and `httpx` have the same exception names in trees of their own, so the library is an argument: the one whose
transport is used.
"""

import ssl
from types import ModuleType

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError

__all__ = ["Translation"]

_CUT_SHORT = "peer closed connection"
"""How h11 begins its message for a body that ends before its length or its last chunk."""

_NO_ANSWER = "disconnected without"
"""How httpcore describes a connection that was closed before a response began."""


class Translation:
    """The exceptions of one library, and what each of them means.

    Args:
        library: `httpx2`, or `httpx` when the user's transport is made of it.
    """

    def __init__(self, library: ModuleType) -> None:
        self.foreign: tuple[type[Exception], ...] = (library.HTTPError, library.InvalidURL, OSError, UnicodeError)
        """What to catch: the library's tree, and what it lets through of sockets, TLS and name encoding."""
        self._remote_protocol = library.RemoteProtocolError
        self._connect = library.ConnectError
        # From the most specific class to its base: the first that fits decides.
        self._kinds: tuple[tuple[type[Exception], ErrorKind], ...] = (
            (library.ConnectTimeout, ErrorKind.CONNECT_TIMEOUT),
            (library.PoolTimeout, ErrorKind.CONNECT_TIMEOUT),
            (library.ReadTimeout, ErrorKind.FIRST_BYTE_TIMEOUT),
            (library.TimeoutException, ErrorKind.IDLE_TIMEOUT),
            (library.ProxyError, ErrorKind.CONNECT_REFUSED),
            (library.NetworkError, ErrorKind.RESET),
            (ssl.SSLError, ErrorKind.TLS),
            (UnicodeError, ErrorKind.CONNECT_REFUSED),
            (OSError, ErrorKind.RESET),
        )

    def before_head(self, error: Exception, where: str) -> UpstreamError:
        """What went wrong before a response's head was there; `where` names the instance in the log."""
        return UpstreamError(self._kind(error), f"{where}: {_words(error)}")

    def in_body(self, error: Exception, where: str) -> UpstreamError:
        """What went wrong while a body was read."""
        kind = self._kind(error)
        if kind is ErrorKind.FIRST_BYTE_TIMEOUT:
            kind = ErrorKind.IDLE_TIMEOUT
        return UpstreamError(kind, f"{where}: {_words(error)}")

    def _kind(self, error: Exception) -> ErrorKind:
        if isinstance(error, self._remote_protocol):
            return _protocol_kind(str(error))
        if isinstance(error, self._connect):
            return ErrorKind.TLS if _has_tls_cause(error) else ErrorKind.CONNECT_REFUSED
        return next((kind for known, kind in self._kinds if isinstance(error, known)), ErrorKind.PROTOCOL)


def _protocol_kind(message: str) -> ErrorKind:
    if _CUT_SHORT in message:
        return ErrorKind.TRUNCATED
    return ErrorKind.RESET if _NO_ANSWER in message else ErrorKind.PROTOCOL


def _has_tls_cause(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _words(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
