"""Questions for fragments, signed as the peer wants it: with its own secret, and with the time that it has."""

from collections.abc import Mapping
from dataclasses import replace

from hydra_asgi.ports import Headers, Upstream, UpstreamRequest, UpstreamResponse
from hydra_asgi.service.signer import Signer

__all__ = ["PeerTime", "time_of"]

SMALL_SECONDS = 5.0
"""A refusal with a smaller difference has another reason, and signing again would change nothing."""

_SIGNATURE = b"hydra-signature"


class PeerTime:
    """An `Upstream` that makes signatures anew which a peer refused because of its clock, and that peer's later ones.

    A page shall not notice that the clock of a machine is wrong.

    Args:
        upstream: sends.
        signer: has signed what carries a signature, and signs again.
        of_service: sign what is asked of services with secrets of their own.
    """

    def __init__(self, upstream: Upstream, signer: Signer, of_service: Mapping[str, Signer] | None = None) -> None:
        self._upstream = upstream
        self._signer = signer
        self._of_service = of_service or {}

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        signer = self._of_service.get(request.service, self._signer)
        is_signed = any(name == _SIGNATURE for name, _ in request.headers)
        if not is_signed and (signer is self._signer or request.method != "POST"):
            return await self._upstream.send(request)
        peer = request.address.netloc
        if signer is not self._signer or signer.is_corrected(peer):
            request = _signed_anew(request, signer)
        response = await self._upstream.send(request)
        if response.status != 401:
            return response
        server_time = time_of(response.headers)
        if server_time is None or abs(signer.difference(server_time, peer)) < SMALL_SECONDS:
            return response
        signer.correct(server_time, peer)
        async with response:
            pass
        return await self._upstream.send(_signed_anew(request, signer))

    async def close(self) -> None:
        await self._upstream.close()


def _signed_anew(request: UpstreamRequest, signer: Signer) -> UpstreamRequest:
    body = request.body
    assert isinstance(body, bytes)  # noqa: S101 - what is signed is whole
    path = request.target.partition(b"?")[0].decode("latin-1")
    signed = signer(request.method, path, body, request.address.netloc)
    return replace(request, headers=[*(pair for pair in request.headers if pair[0] != _SIGNATURE), *signed])


def time_of(headers: Headers) -> float | None:
    """Unix seconds that a refusal carries, None when it does not say them."""
    for name, value in headers:
        if name.lower() == b"hydra-time" and value.isdigit() and len(value) <= 12:
            return float(value)
    return None
