"""What the scenarios are made of: bytes that are said to a gateway, and what the service behind it saw of them."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.e2e.hostile import Message, Recorder, responses, say
from tests.raw_server import RawServer

__all__ = ["SCENARIOS", "SMUGGLED", "Answering", "Attack", "Outcome", "Scenario", "plain", "post", "scenario"]

Scenario = Callable[["Attack"], Awaitable[None]]
MOMENT = 0.05
"""Seconds in which what was passed on arrives; what comes later is found by `check_nothing_came_late`."""

_numbers = itertools.count(1)

SCENARIOS: dict[str, Scenario] = {}
"""All of them, by name; a scenario has a service of its own, and runs beside the others."""


def scenario(function: Scenario) -> Scenario:
    """Make a function a scenario: its docstring says what may happen."""
    SCENARIOS[function.__name__] = function
    return function


@dataclass
class Outcome:
    """What came of one attack.

    Attributes:
        target: of the request that was meant.
        answers: what the client got.
        seen: what the service got of it, smuggled requests included.
    """

    target: bytes
    answers: list[Message]
    seen: list[Message]
    received: bytes

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]

    @property
    def whole(self) -> list[bytes]:
        return [request.target for request in self.seen if request.is_whole]

    def check_refused(self) -> None:
        """Nothing reached the service as a whole request, and nobody was told that all is well."""
        assert not self.whole, self
        assert all(status >= 400 for status in self.statuses), self

    def check_one(self, body: bytes = b"") -> None:
        """Refused, or passed on as one request with this body."""
        if not self.whole:
            self.check_refused()
            return
        assert [request.target for request in self.seen] == [self.target], self
        assert self.seen[0].body == body, self


@dataclass
class Attack:
    """One scenario: a service of its own under `/name/`, and the gateway to say bytes to."""

    name: str
    server: str
    port: int = 0
    service: Recorder = field(default_factory=Recorder)
    raw: RawServer | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    async def __call__(
        self, payload: bytes, *, seconds: float = 0.6, then: bytes = b"", until: int | None = 1
    ) -> Outcome:
        """Say a payload, in which `%P` is the meant target and `%S` the target of a smuggled request."""
        target = self.next_target()
        pieces = [self.filled(piece, target) for piece in (payload, then) if piece]
        method = payload.partition(b" ")[0].decode("latin-1")
        received = await say(self.port, *pieces, seconds=seconds, until=until, method=method)
        await asyncio.sleep(MOMENT)
        outcome = Outcome(target, responses(received, method=method), self.seen(target), received)
        for answer in outcome.answers:
            saw = answer.header(b"x-saw")
            assert saw is None or is_below(saw, target), f"another request's answer: {outcome}"
        self.outcomes.append(outcome)
        return outcome

    async def until_the_end(self, payload: bytes) -> tuple[Outcome, bool]:
        """Say a payload and read on; beside the outcome whether the connection was closed behind the answer."""
        target = self.next_target()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        received, is_closed = bytearray(), False
        try:
            writer.write(self.filled(payload, target))
            async with asyncio.timeout(3):
                while piece := await reader.read(65536):
                    received += piece
            is_closed = True
        except ConnectionError:
            is_closed = True
        except TimeoutError:
            pass
        finally:
            writer.transport.abort()
        outcome = Outcome(target, responses(bytes(received)), self.seen(target), bytes(received))
        self.outcomes.append(outcome)
        return outcome, is_closed

    def seen(self, target: bytes) -> list[Message]:
        """What the service has got of a target and what was smuggled behind it."""
        return [request for request in self.service.requests if is_below(request.target, target)]

    def check_nothing_came_late(self) -> None:
        """What was not seen in time was not seen later: to be asked when all scenarios are over."""
        for outcome in self.outcomes:
            late = self.seen(outcome.target)[len(outcome.seen) :]
            assert not any(request.is_whole for request in late), (outcome, late)

    async def all(self, *payloads: bytes, seconds: float = 0.6) -> list[Outcome]:
        return list(await asyncio.gather(*(self(payload, seconds=seconds) for payload in payloads)))

    def next_target(self) -> bytes:
        """A target that nobody has asked for yet."""
        return b"/%b/%d" % (self.name.encode(), next(_numbers))

    @staticmethod
    def filled(piece: bytes, target: bytes) -> bytes:
        return piece.replace(b"%P", target).replace(b"%S", target + b"/smuggled")


def is_below(found: bytes, target: bytes) -> bool:
    """Whether a target is this one, with a query or a tail where that is the case."""
    return (found + b"/").startswith((target + b"/", target + b"?"))


SMUGGLED = b"GET %S HTTP/1.1\r\nhost: site.test\r\n\r\n"


def post(*fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    lines = (b"POST %P HTTP/" + version, b"host: site.test", *fields, b"", b"")
    return b"\r\n".join(lines) + body


def plain(*fields: bytes, method: bytes = b"GET", target: bytes = b"%P", host: bytes = b"site.test") -> bytes:
    lines = (b"%b %b HTTP/1.1" % (method, target), b"host: " + host, *fields, b"", b"")
    return b"\r\n".join(lines)


@dataclass
class Answering(Recorder):
    """A recorder that also says what `?answer=` names.

    Attributes:
        late: what still came on a connection after a final answer to half a request.
    """

    late: bytearray = field(default_factory=bytearray)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await super().__call__(_Peeking(reader, writer, self), writer)  # type: ignore[arg-type]  # has what is needed


ANSWERS = {
    b"413": b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    b"413-kept": b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n",
    b"101": b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    b"302": b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n",
    b"inside": b"HTTP/1.1 302 Found\r\nlocation: http://%A/inside?x=1\r\ncontent-length: 0\r\n\r\n",
    b"slashes": b"HTTP/1.1 302 Found\r\nlocation: //evil.test/x\r\ncontent-length: 0\r\n\r\n",
    b"cookies": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nset-cookie: a=1; Domain=.site.test\r\n"
    b"set-cookie: b=2\r\nset-cookie: c=3; Path=/\r\n\r\n",
}


class _Peeking:
    """A reader that answers a head by itself where its target asks for that."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: Answering) -> None:
        self._reader, self._writer, self._answering = reader, writer, answering

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    async def readuntil(self, separator: bytes) -> bytes:
        raw = await self._reader.readuntil(separator)
        _, found, name = raw.split(b" ")[1].partition(b"?answer=") if separator == b"\r\n\r\n" else (b"", b"", b"")
        if not found:
            return raw
        self._answering.requests.append(self._answering._read_head(raw))
        here = b"127.0.0.1:%d" % self._writer.get_extra_info("sockname")[1]
        self._writer.write(ANSWERS[name].replace(b"%A", here))
        await self._writer.drain()
        if name == b"413-kept":
            self._answering.late += await self._reader.read()
        raise asyncio.IncompleteReadError(b"", None)
