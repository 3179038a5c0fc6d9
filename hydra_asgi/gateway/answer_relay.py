"""Passes an instance's response on to the client, piece by piece as the client takes it, with its trailers.

An instance that breaks off in the middle of a response breaks the client's connection, because a short body must never
look whole.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

from asgiref.typing import ASGISendCallable, ASGISendEvent

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.field_names import FieldNames
from hydra_asgi.core.headers.header_policy import response_headers
from hydra_asgi.core.headers.trailer_fields import announced_trailers, crossing_trailers, takes_trailers
from hydra_asgi.errors import ResponseCutError, UpstreamError
from hydra_asgi.gateway.client_watch import ClientWatch
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.lookout import Lookout
from hydra_asgi.gateway.observation import Progress
from hydra_asgi.gateway.patient_send import PatientSend
from hydra_asgi.ports import Headers, UpstreamResponse

__all__ = ["BODILESS", "AnswerRelay", "may_have_trailers"]

BODILESS: Final = frozenset({204, 304})
"""Statuses without a body (RFC 9110 section 6.4.1); those below 200 are never passed on as a response."""

_TRAILERS: Final = "http.response.trailers"


def may_have_trailers(scope: Mapping[str, Any], names: FieldNames) -> bool:
    """Whether trailers can be passed on: the server offers to send them, and the client says that it reads them.

    Args:
        scope: of the request.
        names: those of its fields.
    """
    if b"te" not in names.places or _TRAILERS not in (scope.get("extensions") or ()):
        return False
    return takes_trailers(scope["headers"], names)


class AnswerRelay:
    """Passes responses on.

    Args:
        terms: of forwarding.
        lookout: sees to it that a client takes its response.
    """

    def __init__(self, terms: ForwardingTerms, lookout: Lookout) -> None:
        self._via = terms.via[1]
        self._crossing = terms.crossing
        self._health = terms.health
        self._idle = terms.timeouts.idle
        self._lookout = lookout

    async def __call__(
        self,
        response: UpstreamResponse,
        method: str,
        send: ASGISendCallable,
        watch: ClientWatch,
        progress: Progress,
        *,
        takes_trailers: bool = False,
    ) -> None:
        """Pass one response on, to its end.

        Args:
            response: of `progress.instance`.
            method: of the request.
            send: the request's channel.
            watch: waits for the client's leaving; ended before the last message.
            progress: is told how far it comes.
            takes_trailers: the client takes the trailers that the response announces. Without an announcement there
                are none, so that nobody waits for an end that has come.

        Raises:
            ResponseCutError: the instance broke off after its response had begun; the server has to break the
                connection.
            UpstreamError: CLIENT_GONE.
        """
        headers = response_headers(response.headers, via=self._via)
        headers = self._crossing.response_fields(headers, progress.instance)
        has_body = method != "HEAD" and response.status not in BODILESS
        if response.status in BODILESS:
            headers = [pair for pair in headers if pair[0] != b"content-length"]  # servers would wait for that much
        left = _declared(headers) if has_body else None
        announced = b""
        if takes_trailers and has_body and left is None:
            announced = announced_trailers(response.headers)
        if announced:
            headers.append((b"trailer", announced))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status,
                    "headers": headers,
                    "trailers": bool(announced),
                }
            )
            progress.status = response.status
            await self._pass_body(response, left, send, watch, progress, has_body=has_body)
            if announced:
                await self._pass_trailers(crossing_trailers(response.trailers), send)
        except UpstreamError as error:
            if error.kind is ErrorKind.CLIENT_GONE:
                raise
            progress.fail(error.kind, error.detail)
            assert progress.instance is not None  # noqa: S101 - it has answered
            self._health.broke_off(progress.instance, error.kind)
            raise ResponseCutError(error.kind, error.detail) from None
        except OSError as error:  # ASGI 2.4: `send` raises it when the client is gone
            raise UpstreamError(ErrorKind.CLIENT_GONE, str(error)) from None

    async def _pass_body(
        self,
        response: UpstreamResponse,
        left: int | None,
        send: ASGISendCallable,
        watch: ClientWatch,
        progress: Progress,
        *,
        has_body: bool,
    ) -> None:
        with PatientSend(send, self._idle, self._lookout, watch.owner) as send_piece:
            async for piece in response.body():
                if not piece or not has_body or left == 0:
                    continue
                if left is not None:
                    left -= len(piece)
                if left == 0:  # with the last byte goes the news that it is the last
                    watch.end()
                await send_piece(piece, more=left != 0)
                progress.response_bytes += len(piece)
            if left != 0 or not progress.response_bytes:
                watch.end()
                await send_piece(b"", more=False)

    async def _pass_trailers(self, trailers: Headers, send: ASGISendCallable) -> None:
        message = {"type": _TRAILERS, "headers": trailers, "more_trailers": False}
        try:
            async with asyncio.timeout(self._idle):
                await send(cast("ASGISendEvent", message))
        except TimeoutError:
            detail = f"the client took nothing of its response for {self._idle:g} s"
            raise UpstreamError(ErrorKind.CLIENT_SLOW, detail) from None


def _declared(headers: Headers) -> int | None:
    """The length that a response which was checked declares."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
    return None
