"""A gateway node under a real server, raw services behind it, and a client that says exactly the bytes it is told."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.core.instance import Address, FragmentDeclaration, Route, ServiceInstance
from hydra_asgi.service.signer import Signer
from hydra_asgi.wire.announcement import registration_json
from tests.gateway.servers import serving

__all__ = [
    "KEY",
    "SECRET",
    "Member",
    "Message",
    "Recorder",
    "announced",
    "answers",
    "bare_app",
    "call",
    "get",
    "knows",
    "node",
    "request",
    "responses",
    "say",
]

KEY = "site-key"
SECRET = "the secret of this very site"


async def bare_app(scope: Any, receive: Any, send: Any) -> None:
    """The app of the gateway: it says which path it was asked for, and knows no page."""
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1000})
        return
    body = b"local " + scope["path"].encode("utf-8", "replace")
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 404, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


@contextlib.asynccontextmanager
async def node(
    app: Any = bare_app, *, server: str = "uvicorn-httptools", hydra: Hydra | None = None, **options: Any
) -> AsyncIterator[int]:
    """Serve an app as a gateway; gives the port. The key and the secret are those of `Member`."""
    if hydra is None:
        options.setdefault("routes", ["/own"])  # not a catch-all: what nobody has is for nobody
        hydra = Hydra(gateway=True, key=KEY, secret=SECRET, **options)
    async with serving(server, HydraMiddleware(app, hydra=hydra)) as port:
        _nodes[port] = hydra
        try:
            yield port
        finally:
            await hydra.stop()
            del _nodes[port]


_nodes: dict[int, Hydra] = {}
"""The nodes that are served in this process, by port."""


def knows(port: int, instance: ServiceInstance) -> bool:
    """Whether the node behind a port has an instance in its directory."""
    running = _nodes[port].running
    if running is None or running.directory is None:
        return False
    wanted = (instance.service, instance.version, instance.address.netloc)
    known = running.directory.state.snapshot.instances
    return wanted in {(one.service, one.version, one.address.netloc) for one in known}


# -- the client -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A request or response as it was on the wire."""

    start: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    is_whole: bool = True

    @property
    def status(self) -> int:
        return int(self.start.split(b" ", 2)[1])

    @property
    def target(self) -> bytes:
        return self.start.split(b" ")[1]

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]

    def header(self, name: bytes) -> bytes | None:
        return next(iter(self.all(name)), None)


async def say(port: int, *pieces: bytes, seconds: float = 0.6, until: int | None = 1, method: str = "GET") -> bytes:
    """Say bytes on a connection of its own, and give everything that came back.

    Ends with the connection, after `until` whole responses and a little silence behind them, or after `seconds`.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(seconds) as limit:
            while piece := await reader.read(65536):
                received += piece
                if (
                    until is not None
                    and len(whole := responses(bytes(received), method=method)) >= until
                    and whole[-1].is_whole
                ):
                    limit.reschedule(asyncio.get_running_loop().time() + 0.05)
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    return bytes(received)


async def call(port: int, request: bytes, *, seconds: float = 10.0) -> Message:
    """One request, one whole response, however long it takes within `seconds`."""
    found = responses(await say(port, request, seconds=seconds))
    assert found, "no response"
    return found[0]


async def get(port: int, path: str, *fields: str, method: str = "GET", seconds: float = 10.0) -> Message:
    """Ask for a page and read until the connection ends."""
    lines = (f"{method} {path} HTTP/1.1", "host: site.test", "connection: close", *fields)
    received = await say(port, "\r\n".join((*lines, "", "")).encode(), seconds=seconds, until=None)
    found = responses(received, method=method)
    assert len(found) == 1, received[:2000]
    return found[0]


async def answers(port: int, path: str, *, status: int = 200, seconds: float = 5.0) -> None:
    """Wait until a page is there, or answered otherwise: the directory follows the store within moments."""
    async with asyncio.timeout(seconds):
        while (await get(port, path)).status != status:  # noqa: ASYNC110 - what is waited for is in another place
            await asyncio.sleep(0.02)


def responses(received: bytes, *, method: str = "GET") -> list[Message]:
    """Read the responses in what a server said, strictly; the last one may not be whole."""
    found: list[Message] = []
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        if not end:
            found.append(Message(head + b" 0 0", (), is_whole=False))
            break
        message = _head(head)
        if message.status < 200:
            received = rest
            continue
        if method == "HEAD" or message.status in (204, 304):
            body, received, is_whole = b"", rest, True
        else:
            body, received, is_whole = _body(message, rest)
        found.append(Message(message.start, message.headers, body, is_whole))
    return found


def _head(head: bytes) -> Message:
    start, *lines = head.split(b"\r\n")
    pairs = (line.partition(b":")[::2] for line in lines)
    return Message(start, tuple((name.lower(), value.strip(b" \t")) for name, value in pairs))


def _body(message: Message, rest: bytes) -> tuple[bytes, bytes, bool]:
    lengths, codings = message.all(b"content-length"), message.all(b"transfer-encoding")
    assert not (lengths and codings), f"two framings: {message}"
    assert len(lengths) <= 1, f"two lengths: {message}"
    if lengths:
        length = int(lengths[0])
        return rest[:length], rest[length:], len(rest) >= length
    if codings:
        assert codings == [b"chunked"]
        return _chunked(rest)
    return rest, b"", True


def _chunked(rest: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        if not end:
            return body, b"", False
        length = int(size, 16)
        if length == 0:
            return body, rest[2:], rest.startswith(b"\r\n")
        body, after, rest = body + rest[:length], rest[length : length + 2], rest[length + 2 :]
        if after != b"\r\n":
            return body, b"", False


# -- services ---------------------------------------------------------------------------------------------------------


_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")
_START = re.compile(rb"[A-Z]+ /[\x21-\x7e]* HTTP/1\.1")


@dataclass
class Recorder:
    """A raw service that reads strictly what arrives and answers every request with its own target.

    Attributes:
        requests: whole and unfinished requests, in order.
        wrong: what was ambiguous or malformed in them. A gateway never sends such a thing.
    """

    requests: list[Message] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def targets(self) -> list[bytes]:
        return [request.target for request in self.requests]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                raw = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    self.wrong.append(f"bytes that are no request: {error.partial[:200]!r}")
                return
            head = self._read_head(raw)
            try:
                body = await self._read_body(head, reader)
            except asyncio.IncompleteReadError as error:
                self.requests.append(Message(head.start, head.headers, error.partial, is_whole=False))
                return
            self.requests.append(Message(head.start, head.headers, body))
            fields = b"content-type: text/plain\r\nx-saw: " + head.target
            shown = b"" if head.start.startswith(b"HEAD") else b"saw " + head.target
            length = len(b"saw " + head.target)
            writer.write(b"HTTP/1.1 200 OK\r\n%b\r\ncontent-length: %d\r\n\r\n%b" % (fields, length, shown))

    def _read_head(self, raw: bytes) -> Message:
        start, *lines = raw[:-4].split(b"\r\n")
        if not _START.fullmatch(start):
            self.wrong.append(f"request line {start[:200]!r}")
        self.wrong += [f"field {line[:200]!r}" for line in lines if not _FIELD.fullmatch(line)]
        head = _head(raw[:-4])
        lengths, codings = head.all(b"content-length"), head.all(b"transfer-encoding")
        if len(lengths) + len(codings) > 1 or (codings and codings != [b"chunked"]):
            self.wrong.append(f"framing {lengths!r} {codings!r}")
        if lengths and not re.fullmatch(rb"[0-9]{1,10}", lengths[0]):
            self.wrong.append(f"length {lengths!r}")
        if len(head.all(b"host")) != 1:
            self.wrong.append(f"hosts {head.all(b'host')!r}")
        return head

    async def _read_body(self, head: Message, reader: asyncio.StreamReader) -> bytes:
        if lengths := head.all(b"content-length"):
            return await reader.readexactly(int(lengths[0]))
        if not head.all(b"transfer-encoding"):
            return b""
        body = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}\r\n", size):
                self.wrong.append(f"chunk size {size[:100]!r}")
                raise asyncio.IncompleteReadError(body, None)
            length = int(size, 16)
            if length == 0:
                if (trailer := await reader.readuntil(b"\r\n")) != b"\r\n":
                    self.wrong.append(f"trailer {trailer[:100]!r}")
                return body
            body += await reader.readexactly(length)
            if await reader.readexactly(2) != b"\r\n":
                self.wrong.append("chunk without its end")


def announced(
    service: str,
    address: Address,
    *,
    routes: Sequence[str] = (),
    fragments: Sequence[str] | None = (),
    **fields: Any,
) -> ServiceInstance:
    """What a service announces."""
    return ServiceInstance(
        service,
        address,
        routes=tuple(Route(template) for template in routes),
        fragments=None if fragments is None else tuple(FragmentDeclaration(ref) for ref in fragments),
        **fields,
    )


class Member:
    """A service that joins through the real control plane, signed.

    Args:
        gateway: the gateway's port.
        instance: what is announced.
    """

    def __init__(self, gateway: int, instance: ServiceInstance, *, secret: str = SECRET) -> None:
        self.instance = instance
        self.lease = token_urlsafe(18)
        self.signer = Signer(secret)
        self._gateway = gateway

    async def register(self) -> Message:
        return await self.call("POST", "registration", registration_json(self.instance, self.lease))

    async def join(self, *, seconds: float = 5.0) -> None:
        """Register, and return when the gateway has it in its directory, which follows within moments."""
        answer = await self.register()
        assert answer.status == 200, answer
        async with asyncio.timeout(seconds):
            while not knows(self._gateway, self.instance):  # noqa: ASYNC110 - the directory's own time
                await asyncio.sleep(0.005)

    async def beat(self) -> Message:
        return await self.call("POST", "alive", self.instance.service.encode())

    async def leave(self) -> Message:
        return await self.call("DELETE", "registration", self.instance.service.encode())

    async def call(
        self, method: str, name: str, body: bytes, *, key: str = KEY, fields: Sequence[tuple[bytes, bytes]] = ()
    ) -> Message:
        path = f"/h/discovery/{key}/{name}"
        signed = self.signer.for_lease(self.lease, method, path, body)
        return await call(self._gateway, request(method, path, body, [*signed, *fields]))


def request(
    method: str,
    path: str,
    body: bytes,
    fields: Sequence[tuple[bytes, bytes]] = (),
    *,
    content_type: bytes = b"application/json",
) -> bytes:
    """The bytes of one request with a body."""
    pairs = [
        (b"host", b"gateway"),
        (b"connection", b"close"),
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        *fields,
    ]
    head = b"".join(b"%b: %b\r\n" % pair for pair in pairs)
    return f"{method} {path} HTTP/1.1\r\n".encode() + head + b"\r\n" + body
