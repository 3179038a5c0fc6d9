"""The calls of a service to one gateway, ours or a Java one: register, beat, drain, leave."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import ConfigurationError, UpstreamError
from hydra_asgi.ports import Headers, Timeouts, Upstream, UpstreamRequest
from hydra_asgi.service.peer_time import time_of
from hydra_asgi.service.signer import Signer
from hydra_asgi.wire.strict_json import NotJsonError, read_json

__all__ = ["GatewayClient", "Reply", "gateway_address"]

SECONDS = 2.0
"""What a Medusa waits (CONTRACT.md 1.5): three beats fit into an instance's life, so one lost call costs nothing."""

MAX_REPLY = 4_194_304
"""An overview of 10,000 routes is about 1 MiB."""

MAX_REFUSAL = 4_096
"""A refusal of a gateway of ours is one short sentence in JSON; what is longer is somebody else's page."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a gateway answered."""

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Exactly 200: a proxy's 204 or 302 is no answer of a gateway."""
        return self.status == 200

    @property
    def reason(self) -> str:
        """The status and what the gateway says about it, else the start of the body, for the log."""
        text = self._said() or self.body[:300].decode("utf-8", "replace")
        shown = "".join(letter if letter.isprintable() else "?" for letter in text[:300])
        return f"{self.status} {shown}".rstrip()

    def _said(self) -> str:
        try:
            value = read_json(self.body[:MAX_REFUSAL])
        except NotJsonError:
            return ""
        said = value.get("reason") if isinstance(value, dict) else None
        return said if isinstance(said, str) else ""


class GatewayClient:
    """Talks to one gateway.

    Args:
        url: its base URL.
        key: the path key.
        signer: signs the calls.
        upstream: sends them.
        seconds: how long one call may take.

    Raises:
        ConfigurationError: the URL is none.
    """

    def __init__(self, url: str, *, key: str, signer: Signer, upstream: Upstream, seconds: float = SECONDS) -> None:
        self.address = gateway_address(url)
        self._key = key
        self._signer = signer
        self._upstream = upstream
        self._seconds = seconds

    async def register(self, body: bytes, lease: str) -> Reply:
        """C1. Raises `UpstreamError`, as every call here, when there is no answer in time."""
        return await self._call("POST", "registration", body, lease, [(b"content-type", b"application/json")])

    async def beat(self, service: str, lease: str, revision: str) -> Reply:
        """C2; `revision` is the overview that is known already."""
        fields = [(b"content-type", b"text/plain;charset=UTF-8"), (b"hydra-revision", revision.encode())]
        return await self._call("POST", "alive", service.encode(), lease, fields)

    async def drain(self, body: bytes, lease: str) -> Reply:
        """Ask that the instance get no new users, or get them again."""
        return await self._call("POST", "drain", body, lease, [(b"content-type", b"application/json")])

    async def leave(self, service: str, lease: str) -> Reply:
        """End the lease."""
        return await self._call("DELETE", "registration", service.encode(), lease, [(b"content-type", b"text/plain")])

    async def _call(self, method: str, call: str, body: bytes, lease: str, fields: Headers) -> Reply:
        try:
            async with asyncio.timeout(self._seconds):
                reply, server_time = await self._send(method, call, body, lease, fields)
                if reply.status == 401 and server_time is not None and self._signer.has_secret:
                    self._signer.correct(server_time, self.address.netloc)
                    reply, _ = await self._send(method, call, body, lease, fields)
                return reply
        except TimeoutError:
            raise UpstreamError(ErrorKind.FIRST_BYTE_TIMEOUT, f"no answer within {self._seconds:g} s") from None

    async def _send(
        self, method: str, call: str, body: bytes, lease: str, fields: Headers
    ) -> tuple[Reply, float | None]:
        path = f"/h/discovery/{self._key}/{call}"
        request = UpstreamRequest(
            address=self.address,
            method=method,
            target=f"{self.address.base}{path}".encode(),
            headers=[
                (b"host", self.address.netloc.encode()),
                (b"accept", b"application/json"),
                *fields,
                *self._signer.for_lease(lease, method, path, body, self.address.netloc),
            ],
            body=body,
            timeouts=Timeouts(connect=self._seconds, first_byte=self._seconds, idle=self._seconds),
        )
        async with await self._upstream.send(request) as response:
            pieces: list[bytes] = []
            size = 0
            async for piece in response.body():
                size += len(piece)
                if size > MAX_REPLY:
                    raise UpstreamError(ErrorKind.TOO_LARGE, f"the answer is larger than {MAX_REPLY} bytes")
                pieces.append(piece)
            return Reply(response.status, b"".join(pieces)), time_of(response.headers)


def gateway_address(url: str) -> Address:
    """The address in a gateway's base URL.

    Raises:
        ConfigurationError: it is not `http://host:port/base`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        raise ConfigurationError(f"{url[:120]!r} is not a gateway's URL, such as http://10.0.0.7:8000") from None
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment or not url.isprintable():
        raise ConfigurationError(f"{url[:120]!r} is not a gateway's URL, such as http://10.0.0.7:8000")
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))
