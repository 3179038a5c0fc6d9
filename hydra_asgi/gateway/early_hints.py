"""Passes on what an instance hints at before it answers (103, RFC 8297), where the client's server can say it."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

from asgiref.typing import ASGISendCallable, ASGISendEvent

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.early_links import early_links
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Headers

__all__ = ["EarlyHints"]

_EXTENSION: Final = "http.response.early_hint"
_EARLY_HINTS: Final = 103

PATIENCE_SECONDS: Final = 1.0
"""A hint that a client does not take within this comes too late; and the instance must not be blamed for the wait."""


class EarlyHints:
    """Takes the interim responses of all attempts to answer one request.

    A hint commits nobody to an answer: the request may still be put to another instance.

    Args:
        send: the request's channel.
    """

    def __init__(self, send: ASGISendCallable) -> None:
        self._send = send
        self._told: set[bytes] = set()
        self._is_slow = False

    @classmethod
    def maybe_of(cls, scope: Mapping[str, Any], send: ASGISendCallable) -> "EarlyHints | None":
        """Those for a request; None where the client's server cannot pass any on."""
        extensions = scope.get("extensions")
        return cls(send) if extensions and _EXTENSION in extensions else None

    async def __call__(self, status: int, headers: Headers) -> None:
        """Pass on one interim response.

        Args:
            status: of it; only 103 is for the client.
            headers: of it, of which the links go on.

        Raises:
            UpstreamError: CLIENT_GONE.
        """
        links = early_links(headers, self._told) if status == _EARLY_HINTS and not self._is_slow else []
        if not links:
            return
        self._told.update(links)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._send(cast("ASGISendEvent", {"type": _EXTENSION, "links": links}))
        except TimeoutError:
            self._is_slow = True
        except OSError as error:  # ASGI 2.4: `send` raises it when the client is gone
            raise UpstreamError(ErrorKind.CLIENT_GONE, str(error)) from None
