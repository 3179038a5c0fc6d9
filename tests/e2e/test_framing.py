"""Requests and responses on which two parsers could disagree, said over raw sockets to a gateway under each server.

What counts is what reaches the service behind it: nothing, or one request that reads in one way only. All scenarios of
a server run at the same time against one node, so an answer that went to the wrong client would be seen too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from hydra_asgi import Hydra
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.ports import LeaseState
from tests.e2e.hostile import KEY, SECRET, Message, Recorder, announced, node, responses, say
from tests.gateway.servers import SERVERS
from tests.raw_server import RawServer, raw_server

pytestmark = pytest.mark.e2e

Scenario = Callable[["Attack"], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
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
    count: int = 0

    async def __call__(
        self, payload: bytes, *, seconds: float = 0.6, then: bytes = b"", until: int | None = 1
    ) -> Outcome:
        """Say a payload, in which `%P` is the meant target and `%S` the target of a smuggled request."""
        self.count += 1
        target = b"/%b/%d" % (self.name.encode(), self.count)
        pieces = [self.filled(piece, target) for piece in (payload, then) if piece]
        method = payload.partition(b" ")[0].decode("latin-1")
        received = await say(self.port, *pieces, seconds=seconds, until=until, method=method)
        await asyncio.sleep(0.05)
        prefix = (target + b"/", target + b"?")
        seen = [request for request in self.service.requests if (request.target + b"/").startswith(prefix)]
        outcome = Outcome(target, responses(received, method=method), seen, received)
        for answer in outcome.answers:
            saw = answer.header(b"x-saw")
            assert saw is None or (saw + b"/").startswith(prefix), f"another request's answer: {outcome}"
        return outcome

    async def all(self, *payloads: bytes, seconds: float = 0.6) -> list[Outcome]:
        return list(await asyncio.gather(*(self(payload, seconds=seconds) for payload in payloads)))

    @staticmethod
    def filled(piece: bytes, target: bytes) -> bytes:
        return piece.replace(b"%P", target).replace(b"%S", target + b"/smuggled")


SMUGGLED = b"GET %S HTTP/1.1\r\nhost: site.test\r\n\r\n"


def post(*fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    lines = (b"POST %P HTTP/" + version, b"host: site.test", *fields, b"", b"")
    return b"\r\n".join(lines) + body


def plain(*fields: bytes, method: bytes = b"GET", target: bytes = b"%P", host: bytes = b"site.test") -> bytes:
    lines = (b"%b %b HTTP/1.1" % (method, target), b"host: " + host, *fields, b"", b"")
    return b"\r\n".join(lines)


# -- A: framing -------------------------------------------------------------------------------------------------------


@scenario
async def row_01_both_lengths(attack: Attack) -> None:
    """Content-Length and Transfer-Encoding together are refused, or leave with one framing of our own."""
    both = (b"content-length: 6", b"transfer-encoding: chunked")
    for outcome in await attack.all(
        post(*both, body=b"0\r\n\r\nG"),
        post(*reversed(both), body=b"0\r\n\r\nG"),
        post(b"content-length: 5", b"transfer-encoding: chunked", body=b"0\r\n\r\n"),
    ):
        outcome.check_one()
    for outcome in await attack.all(
        post(*both, body=b"0\r\n\r\n" + SMUGGLED), post(*both, body=b"0\r\n\r\nX" + SMUGGLED)
    ):
        # Granian shows the application the coding alone and reads on behind the last chunk, so there are two requests.
        assert len(outcome.whole) <= (2 if attack.server == "granian" else 1), outcome
        if attack.server != "granian":
            outcome.check_one()


@scenario
async def row_02_two_lengths(attack: Attack) -> None:
    """Two different lengths are refused."""
    for outcome in await attack.all(
        post(b"content-length: 5", b"content-length: 0", body=b"hello"),
        post(b"content-length: 0", b"content-length: 5", body=b"hello"),
        post(b"content-length: 0", b"content-length: 50", body=SMUGGLED),
        post(b"content-length: 5, 0", body=b"hello"),
    ):
        outcome.check_refused()


@scenario
async def row_03_equal_lengths(attack: Attack) -> None:
    """A length that is said twice is refused or said once."""
    for outcome in await attack.all(
        post(b"content-length: 5,5", body=b"hello"),
        post(b"content-length: 5, 5", body=b"hello"),
        post(b"content-length: 5", b"content-length: 5", body=b"hello"),
    ):
        outcome.check_one(b"hello")


@scenario
async def row_04_strange_lengths(attack: Attack) -> None:
    """A length that is not plain digits, or has twenty of them, is refused, and at once."""
    lengths = [b"+5", b"-1", b"0x5", b"1_0", b"", b"5 5", b"5;", b"5.0", b"\xb2", b"99999999999999999999"]
    for outcome in await attack.all(*(post(b"content-length: " + length, body=b"hello") for length in lengths)):
        if outcome.seen:  # an empty value may be dropped as no length at all
            assert outcome.seen[0].body == b"", outcome
            assert outcome.seen[0].all(b"content-length") in ([], [b"0"]), outcome
        else:
            outcome.check_refused()
        assert outcome.answers, outcome


@scenario
async def row_05_strange_codings(attack: Attack) -> None:
    """A coding that is not exactly `chunked` is refused."""
    codings = [b"xchunked", b"chunked, identity", b"identity", b"chunked, chunked", b"\x0bchunked", b"chunked\x0b"]
    codings += [b'"chunked"', b"chunked;q=1", b"chunke", b",", b"", b"x, chunked"]
    body = b"5\r\nhello\r\n0\r\n\r\n"
    payloads = [post(b"transfer-encoding: " + coding, body=body) for coding in codings]
    payloads.append(post(b"transfer-encoding: chunked", b"transfer-encoding: identity", body=body))
    payloads.append(post(b"transfer-encoding: identity", b"transfer-encoding: chunked", body=body))
    payloads.append(post(b"transfer-encoding : chunked", body=body))
    payloads.append(post(b"transfer_encoding: chunked", body=b""))
    for outcome in await attack.all(*payloads):
        if outcome.seen:  # what the server dropped may not come back in another form
            assert all(request.body in (b"", b"hello") for request in outcome.seen), outcome
            assert len(outcome.seen) == 1, outcome
    doubled = await attack(post(b"transfer-encoding: chunked", b"transfer-encoding: chunked", body=body))
    doubled.check_one(b"hello")


@scenario
async def row_06_compressed_coding(attack: Attack) -> None:
    """What is compressed inside the framing is refused: we could not frame it again."""
    for coding in (b"gzip, chunked", b"gzip,chunked", b"deflate, chunked"):
        (await attack(post(b"transfer-encoding: " + coding, body=b"5\r\nhello\r\n0\r\n\r\n"))).check_refused()
    two_lines = post(b"transfer-encoding: gzip", b"transfer-encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")
    (await attack(two_lines)).check_refused()


@scenario
async def row_07_coding_in_http_1_0(attack: Attack) -> None:
    """HTTP/1.0 has no Transfer-Encoding."""
    outcome = await attack(post(b"transfer-encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n", version=b"1.0"))
    outcome.check_refused()


@scenario
async def row_08_broken_lines(attack: Attack) -> None:
    """Bare line ends, folding, a space before the colon, nameless fields and NUL are refused or forwarded clean."""
    lines = [
        b"x-a: 1\nx-b: 2",
        b"x-a: 1\rx-b: 2",
        b"x-a: 1\r\n folded",
        b"x-a: 1\r\n\tfolded: 2",
        b"x-a : 1",
        b": nameless",
        b"x-a: a\x00b",
        b"x\x00a: 1",
        b"x-a: a\x0bb",
        b"x-a: a\x7fb",
        b"x a: 1",
        b"no colon at all",
    ]
    for outcome in await attack.all(*(plain(line) for line in lines)):
        for request in outcome.seen:
            for _, value in request.headers:
                assert not set(value) & {0, 10, 11, 13, 127}, outcome
        assert len(outcome.seen) <= 1, outcome
    # A bare line feed may end a line (RFC 9112 section 2.2), so two may end a head: then these are two requests.
    outcome = await attack(plain(b"x-a: 1\n\nGET %S HTTP/1.1\nhost: site.test"))
    assert outcome.whole in ([], [outcome.target, outcome.target + b"/smuggled"]), outcome
    assert not outcome.whole or attack.server != "uvicorn-httptools", outcome
    first_line_folded = b"GET %P HTTP/1.1\r\n folded: 1\r\nhost: site.test\r\n\r\n"
    (await attack(first_line_folded)).check_one()


@scenario
async def row_09_broken_chunks(attack: Attack) -> None:
    """A body with broken chunks never arrives as if it were whole."""
    bodies = [
        b"5\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-1\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5_\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
        b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
    ]
    for body, outcome in zip(
        bodies, await attack.all(*(post(b"transfer-encoding: chunked", body=body) for body in bodies)), strict=True
    ):
        if body.startswith(b"5\n") and outcome.whole:  # h11 takes a bare LF here, and reads what was meant
            outcome.check_one(b"hello")
            continue
        if body.startswith(b"5;a") and outcome.whole:  # an extension ends at any line end for some
            outcome.check_one(outcome.seen[0].body)
            continue
        assert not outcome.whole, (body, outcome)
        assert 200 not in outcome.statuses, (body, outcome)


@scenario
async def row_10_trailers_and_bodies(attack: Attack) -> None:
    """Trailers do not become fields, and a body leaves with its length or not at all, whatever the method."""
    chunks = b"5\r\nhello\r\n0\r\n"
    for trailer in (b"content-length: 50", b"host: evil.test", b"authorization: Basic eA==", b"transfer-encoding: x"):
        body = chunks + trailer + b"\r\n\r\n"
        outcome = await attack(post(b"transfer-encoding: chunked", b"trailer: x", body=body))
        outcome.check_one(b"hello")
        for request in outcome.seen:
            assert request.all(b"host") == [b"site.test"], outcome
            # httptools reports trailers as fields, and uvicorn lists them as such when they come with the head.
            assert request.header(b"authorization") is None or attack.server == "uvicorn-httptools", outcome
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):
        outcome = await attack(plain(b"content-length: 5", method=method) + b"hello")
        for request in outcome.seen:
            assert (request.body == b"hello") == bool(request.all(b"content-length")), outcome
            assert request.target == outcome.target
        outcome = await attack(plain(b"transfer-encoding: chunked", method=method) + chunks + b"\r\n")
        assert all(request.body == b"hello" for request in outcome.seen), outcome


@scenario
async def row_11_expectations(attack: Attack) -> None:
    """After a final answer no body is read as a request, and an expectation nobody knows is answered in one way."""
    head = post(b"content-length: 1000", b"expect: 100-continue")
    outcome = await attack(head.replace(b"%P", b"%P?answer=413"), then=SMUGGLED, seconds=1.0)
    assert outcome.target + b"/smuggled" not in [request.target for request in outcome.seen], outcome
    assert 200 not in outcome.statuses, outcome
    waits = await attack(post(b"content-length: 5", b"expect: 100-continue", body=b"hello"))
    waits.check_one(b"hello")
    assert waits.statuses == [200], waits
    unknown = await attack(post(b"content-length: 5", b"expect: tea", body=b"hello"))
    unknown.check_one(b"hello")
    assert all(request.header(b"expect") is None for request in attack.service.requests)


@scenario
async def row_12_upgrades(attack: Attack) -> None:
    """An upgrade that nobody agreed to opens no tunnel: what follows is no request, and no upgrade field travels on."""
    fields = (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13")
    key = b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="
    for payload in (
        plain(*fields, key, b"content-length: %d" % len(SMUGGLED)) + SMUGGLED,
        plain(*fields, key) + SMUGGLED,
        post(*fields, key, b"content-length: 5", body=b"hello"),
        plain(b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQ"),
    ):
        outcome = await attack(payload)
        # Hypercorn takes a client's wish for HTTP/2 itself; that is between the two.
        assert b" 101 " not in outcome.received or (attack.server == "hypercorn" and b"h2c" in payload), outcome
        for request in outcome.seen:
            assert request.header(b"upgrade") is None, outcome
            assert request.header(b"http2-settings") is None, outcome
        # What no length covers is a request of its own, which the client may well have sent behind the first.
        assert len(outcome.seen) <= (1 if b"content-length" in payload else 2), outcome
    wrong = await attack(plain().replace(b"%P", b"%P?answer=101"))
    assert wrong.statuses == [502], wrong


@scenario
async def row_13_named_by_connection(attack: Attack) -> None:
    """What the client names in Connection goes, and what we say stays."""
    named = (
        b"connection: close, x-forwarded-for, x-forwarded-host, forwarded, via, host, authorization, hydra-path, x-a"
    )
    outcome = await attack(plain(named, b"x-a: 1", b"authorization: Basic eA==", b"x-b: 2"))
    (request,) = outcome.seen
    assert request.header(b"x-a") is None
    assert request.header(b"authorization") is None
    assert request.header(b"x-b") == b"2"
    for ours in (b"x-forwarded-for", b"x-forwarded-host", b"forwarded", b"via", b"host", b"hydra-path"):
        assert len(request.all(ours)) == 1, (ours, request)
    length = await attack(post(b"connection: content-length, transfer-encoding", b"content-length: 5", body=b"hello"))
    length.check_one(b"hello")


@scenario
async def row_14_hosts(attack: Attack) -> None:
    """No host, two hosts and hosts that are none are refused; an absolute form never leads elsewhere."""
    refused = [
        b"GET %P HTTP/1.1\r\n\r\n",
        plain(b"host: other.test"),
        plain(b"host: site.test"),
        plain(host=b"a b"),
        plain(host=b"a,b"),
        plain(host=b"user@site.test"),
        plain(host=b"user:secret@site.test"),
        plain(host=b"site.test:99999"),
        plain(host=b"site.test/evil"),
        plain(host=b"site.test#"),
        plain(host=b"[::1"),
        plain(host=b""),
        plain(host=b"\xc3\xa4.test"),
    ]
    for outcome in await attack.all(*refused):
        outcome.check_refused()
        assert outcome.answers, outcome
    for outcome in await attack.all(
        plain(target=b"http://evil.test%P"), plain(target=b"http://evil.test%P", host=b"evil.test")
    ):
        for request in outcome.seen:
            assert request.target == outcome.target, outcome
            assert request.all(b"host") in ([b"site.test"], [b"evil.test"]), outcome


@scenario
async def row_15_methods(attack: Attack) -> None:
    """CONNECT, TRACE and an asterisk are not for services."""
    for outcome in await attack.all(
        plain(method=b"CONNECT"),
        b"CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test:443\r\n\r\n" + SMUGGLED,
        plain(method=b"TRACE"),
        plain(target=b"*"),
        plain(method=b"OPTIONS", target=b"*"),
        plain(method=b"G\x00T"),
        plain(method=b"GE(T"),
        b"GET %P\r\n\r\n",
        b"GET %P HTTP/9.9\r\nhost: site.test\r\n\r\n",
        b"GET  %P  HTTP/1.1\r\nhost: site.test\r\n\r\n",
        b"GET %P HTTP/1.1 HTTP/1.1\r\nhost: site.test\r\n\r\n",
    ):
        assert outcome.whole in ([], [outcome.target]), outcome
        assert not any(request.start.startswith((b"CONNECT", b"TRACE")) for request in outcome.seen), outcome
    (await attack(plain(method=b"CONNECT"))).check_refused()
    (await attack(plain(method=b"TRACE"))).check_refused()


# -- A: what services answer ------------------------------------------------------------------------------------------

_HELLO = b"5\r\nhello\r\n0\r\n\r\n"
NO_ANSWERS = {
    b"both": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n" + _HELLO,
    b"two": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    b"letters": b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
    b"half": b"HTTP/1.1 200 OK\r\ncontent-le",
    b"nothing": b"",
    b"garbage": b"\x16\x03\x01\x00\xff" * 20,
    b"status": b"HTTP/1.1 999999 OK\r\ncontent-length: 0\r\n\r\n",
    b"low": b"HTTP/1.1 42 OK\r\ncontent-length: 0\r\n\r\n",
    b"early": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello",
    b"coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n" + _HELLO,
    # splitting
    b"nul": b"HTTP/1.1 200 OK\r\nx-a: a\x00b\r\ncontent-length: 5\r\n\r\nhello",
    b"cr": b"HTTP/1.1 200 OK\r\nx-a: a\rset-cookie: evil=1\r\ncontent-length: 5\r\n\r\nhello",
    b"name": b"HTTP/1.1 200 OK\r\nx a: 1\r\ncontent-length: 5\r\n\r\nhello",
    b"del": b"HTTP/1.1 200 OK\r\nx-a: a\x7fb\r\ncontent-length: 5\r\n\r\nhello",
    # too much
    b"wide": b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 1_048_576 + b"\r\ncontent-length: 5\r\n\r\nhello",
    b"many": b"HTTP/1.1 200 OK\r\n" + b"x-a: 1\r\n" * 10_000 + b"content-length: 5\r\n\r\nhello",
}
"""Heads that are no answer."""

CUT_ANSWERS = {
    b"chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nhello\r\n0\r\n\r\n",
    b"minus": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\nhello\r\n0\r\n\r\n",
    b"huge": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffffffffffff\r\nhello",
    b"short": b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello",
    b"open": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
}
"""Bodies that are not whole; the connection is closed behind them."""

POISON = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
EXTRA_ANSWERS = {
    b"extra": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello" + POISON,
    b"extra-chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + _HELLO + POISON,
    b"extra-head": b"HTTP/1.1 204 No Content\r\n\r\n" + POISON,
    b"extra-304": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 6\r\n\r\npoison" + POISON,
    b"bytes": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello\r\n\r\n\x00",
}
"""More than an answer; the connection stays open behind it."""


@dataclass
class Talker:
    """A service that answers what the last segment of the target names, and notes what comes on a spoilt connection."""

    reused: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spoilt = False
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if spoilt:
                self.reused.append(head)
            target = head.split(b" ")[1]
            name = target.rpartition(b"/")[2]
            if name == b"fine":
                writer.write(b"HTTP/1.1 200 OK\r\nx-saw: %b\r\ncontent-length: 4\r\n\r\nfine" % target)
                continue
            spoilt = True
            if name == b"informed":
                await self._informs(writer)
                return
            if name == b"trailers":
                await self._trails(writer)
                return
            writer.write(NO_ANSWERS.get(name) or CUT_ANSWERS.get(name) or EXTRA_ANSWERS.get(name) or b"")
            if name in CUT_ANSWERS or name in (b"half", b"nothing"):
                writer.close()
                return

    @staticmethod
    async def _informs(writer: asyncio.StreamWriter) -> None:
        for _ in range(50):
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await writer.drain()
        await asyncio.Event().wait()

    @staticmethod
    async def _trails(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
        for _ in range(5_000):
            writer.write(b"x-a: 1\r\n" * 100)
            await writer.drain()


def asked(attack: Attack, name: bytes) -> bytes:
    return b"/%b/%b" % (attack.name.encode(), name)


async def ask_for(attack: Attack, *names: bytes, seconds: float = 5.0) -> list[Message]:
    """Ask for these on one connection, one after another."""
    requests = b"".join(b"GET %b HTTP/1.1\r\nhost: site.test\r\n\r\n" % asked(attack, name) for name in names)
    return responses(await say(attack.port, requests, seconds=seconds, until=len(names)))


async def check_unspoilt(attack: Attack, talker: Talker, received: list[Message]) -> None:
    """The second request of the connection, and requests after it, got the answers they asked for."""
    assert len(received) <= 2
    for answer in received[1:]:
        assert answer.body == b"fine" or answer.status >= 500, received
    for _ in range(2):
        (fine,) = await ask_for(attack, b"fine")
        assert fine.body == b"fine"
    assert not talker.reused, talker.reused


async def answered(attack: Attack, talker: Talker, name: bytes) -> list[Message]:
    received = await ask_for(attack, name, b"fine")
    await check_unspoilt(attack, talker, received)
    return received


@scenario
async def row_16_broken_answers(attack: Attack) -> None:
    """An answer that reads in two ways is a 502, a broken body looks broken, and the connection is not used again."""
    talker = attack.service
    assert isinstance(talker, Talker)
    names = [name for name in NO_ANSWERS if name not in (b"nul", b"cr", b"name", b"del", b"wide", b"many", b"garbage")]
    for name in names:
        received = await answered(attack, talker, name)
        assert received[0].status == 502, (name, received)
        assert received[0].header(b"proxy-status"), (name, received)
    for name in CUT_ANSWERS:
        received = await answered(attack, talker, name)
        assert received[0].status == 502 or not received[0].is_whole, (name, received)
    for name in EXTRA_ANSWERS:
        received = await answered(attack, talker, name)
        assert all(b"poison" not in answer.body for answer in received), (name, received)
        assert received[0].status in (200, 204, 304, 502), (name, received)


@scenario
async def row_17_split_answers(attack: Attack) -> None:
    """Line ends and NUL in an answer's fields are a 502, and nothing of them reaches the client."""
    talker = attack.service
    assert isinstance(talker, Talker)
    for name in (b"nul", b"cr", b"name", b"del", b"garbage"):
        received = await answered(attack, talker, name)
        assert received[0].status == 502, (name, received)
        assert all(answer.header(b"set-cookie") is None for answer in received), (name, received)


@scenario
async def row_18_endless_answers(attack: Attack) -> None:
    """A mebibyte of head, ten thousand fields, and trailers without end are bounded."""
    talker = attack.service
    assert isinstance(talker, Talker)
    for name in (b"wide", b"many"):
        received = await answered(attack, talker, name)
        assert received[0].status == 502, (name, received[0].start)
    received = await ask_for(attack, b"trailers", b"fine")
    assert received[0].status == 502 or not received[0].is_whole or len(received[0].body) == 5, received
    await check_unspoilt(attack, talker, received)


@scenario
async def row_18_informed(attack: Attack) -> None:
    """Informational answers without end are a 502, long before the time for an answer is over."""
    talker = attack.service
    assert isinstance(talker, Talker)
    received = await ask_for(attack, b"informed", seconds=1.5)
    assert [answer.status for answer in received] == [502]


# -- B: paths, queries, fields ----------------------------------------------------------------------------------------


@scenario
async def row_19_dots(attack: Attack) -> None:
    """A path that some server would shorten is refused, or forwarded exactly as it was matched."""
    tails = [b"/../admin", b"/%2e%2e/admin", b"/.%2e/admin", b"/..%2fadmin", b"/%252e%252e/admin", b"/..;/admin"]
    tails += [b"/%5c..%5cadmin", b"/./admin", b"/..", b"/..%00/admin", b"/%c0%ae%c0%ae/admin", b"/.%00./admin"]
    tails += [b"/%2E%2E%2Fadmin", b"/..\\admin", b"/%2e", b"/..%3badmin", b"/x/%2e%2e%5cadmin"]
    outcomes = await attack.all(*(plain(target=b"%P" + tail) for tail in tails))
    for tail, outcome in zip(tails, outcomes, strict=True):
        targets = [request.target for request in outcome.seen]
        if tail in (b"/%252e%252e/admin", b"/%c0%ae%c0%ae/admin", b"/..%3badmin"):
            assert targets in ([], [outcome.target + tail]), outcome
        else:
            outcome.check_refused()
        assert outcome.answers, outcome


@scenario
async def row_20_other_hosts(attack: Attack) -> None:
    """A path that looks like another host leads to no other host and into no redirect."""
    for target in (b"//evil.test%P", b"/\\evil.test%P", b"/http://evil.test%P", b"///evil.test%P", b"/%2f/evil.test%P"):
        outcome = await attack(plain(target=target))
        assert outcome.answers
        assert all(answer.header(b"location") is None for answer in outcome.answers), outcome
    assert not attack.service.requests
    inside = await attack(plain(target=b"%P/http://evil.test/"))
    assert [request.target for request in inside.seen] == [inside.target + b"/http://evil.test/"]


@scenario
async def row_21_encoded_delimiters(attack: Attack) -> None:
    """Encoded delimiters stay encoded, and encoded control characters are refused."""
    for tail in (b"%3Fadmin=1", b"%23x", b"/a%2Fb", b"%26", b"%2e%2ex"):
        outcome = await attack(plain(target=b"%P/x" + tail))
        assert [request.target for request in outcome.seen] == [outcome.target + b"/x" + tail], outcome
    for tail in (b"%0d%0ax-injected:%201", b"%00", b"%0a", b"%7f", b"%c2%85"):
        (await attack(plain(target=b"%P/x" + tail))).check_refused()
    assert all(request.header(b"x-injected") is None for request in attack.service.requests)


@scenario
async def row_22_broken_paths(attack: Attack) -> None:
    """Broken escapes, raw bytes and blanks in a path, and paths without end, are refused."""
    for tail in (b"/%zz", b"/%", b"/%1", b"/\xc3\xa4", b"/a b", b"/\x01", b"/" + b"a" * 20_000, b"/" + b"a" * 65_536):
        outcome = await attack(plain(target=b"%P" + tail))
        outcome.check_refused()
        assert all(400 <= status < 500 or status == 505 for status in outcome.statuses), outcome.statuses


@scenario
async def row_23_queries(attack: Attack) -> None:
    """A query arrives byte for byte, however strange."""
    queries = [b"a=1;b=2", b"&&a&&", b"a=%zz", b"a=1&a=2&a", b"a=%00", b"?", b"a=b?c=d", b"%3f%26", b"a=+%20"]
    queries.append(b"&".join(b"p%d" % number for number in range(4_000)))
    for query in queries:
        outcome = await attack(plain(target=b"%P?" + query))
        if outcome.seen or 200 in outcome.statuses:
            assert [request.target for request in outcome.seen] == [outcome.target + b"?" + query], outcome
        else:
            assert all(status in (400, 414, 431) for status in outcome.statuses), outcome
    flood = await attack(plain(target=b"%P?" + b"a=1&" * 20_000))
    flood.check_one() if not flood.seen else None
    assert all(len(request.target) > 80_000 for request in flood.seen), flood.statuses


@scenario
async def row_24_underscores_and_ours(attack: Attack) -> None:
    """Fields that frameworks take for others, and fields that nodes say to each other, never come from outside."""
    outcome = await attack(
        plain(
            b"x_forwarded_for: 1.2.3.4",
            b"remote_user: root",
            b"x-hydra-service: admin",
            b"hydra-path: 1",
            b"hydra-instance: x",
            b"hydra-signature: v1;t=1;n=1;s=1",
            b"hydra_key: x",
            b"x-fine: 1",
        )
    )
    (request,) = outcome.seen
    assert request.header(b"x-fine") == b"1"
    assert not [name for name, _ in request.headers if b"_" in name or name.startswith(b"x-hydra")]
    assert len(request.all(b"hydra-path")) == 1
    assert request.all(b"hydra-path") != [b"1"]
    assert request.header(b"hydra-instance") is request.header(b"hydra-signature") is None


@scenario
async def row_25_forged_forwarding(attack: Attack) -> None:
    """What a stranger says about itself is overwritten or dropped, and routes nothing."""
    names = (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix", b"x-forwarded-port")
    names += (b"forwarded", b"x-real-ip", b"x-original-url", b"x-rewrite-url", b"x-http-method-override", b"client-ip")
    outcome = await attack(plain(*(name + b": /forged" for name in names)))
    (request,) = outcome.seen
    assert request.start.startswith(b"GET ")
    assert not [pair for pair in request.headers if b"/forged" in pair[1]]
    # uvicorn itself believes a peer on loopback, and makes of it a client that is no address.
    assert request.all(b"x-forwarded-for") in ([b"127.0.0.1"], [b"unknown"])


@scenario
async def row_26_cookies(attack: Attack) -> None:
    """Cookies arrive unchanged and in order, in as many lines as they came."""
    first = b"; ".join(b"c%d=%d" % (number, number) for number in range(100))
    second = b'odd="a b", x; =; ; \xe9'
    outcome = await attack(plain(b"cookie: " + first, b"cookie: " + second))
    (request,) = outcome.seen
    assert request.all(b"cookie") in ([first, second], [first + b"; " + second])


@scenario
async def row_27_28_set_cookies(attack: Attack) -> None:
    """Three Set-Cookie fields stay three, and nothing of them is remembered for the next request."""
    outcome = await attack(plain().replace(b"%P", b"%P?answer=cookies"))
    (answer,) = outcome.answers
    assert answer.all(b"set-cookie") == [b"a=1; Domain=.site.test", b"b=2", b"c=3; Path=/"]
    again = await attack(plain())
    assert again.seen[0].header(b"cookie") is None


@scenario
async def row_29_locations(attack: Attack) -> None:
    """A redirect of a service is the client's to follow."""
    outcome = await attack(plain().replace(b"%P", b"%P?answer=302"))
    (answer,) = outcome.answers
    assert (answer.status, answer.header(b"location")) == (302, b"http://169.254.169.254/latest")
    assert len(outcome.seen) == 1


@scenario
async def row_30_traces(attack: Attack) -> None:
    """A trace that is none does no harm on its way."""
    for trace in (b"x" * 10_240, b"00-zz", b"\xff"):
        outcome = await attack(plain(b"traceparent: " + trace))
        assert outcome.statuses in ([200], [400]), outcome


@scenario
async def row_31_loops(attack: Attack) -> None:
    """A request that has no hops left, or made more of them than any site has, goes no further."""
    via = b"via: " + b", ".join(b"1.1 hop%d" % number for number in range(20))
    for fields in ((b"max-forwards: 0",), (b"max-forwards: 00",), (via,), (b"via: 1.1 a",) * 20):
        outcome = await attack(plain(*fields))
        outcome.check_refused()
        assert outcome.statuses == [508], outcome
    one_less = await attack(plain(b"max-forwards: 3"))
    assert one_less.seen[0].header(b"max-forwards") == b"2"


# -- running them -----------------------------------------------------------------------------------------------------


class Answering(Recorder):
    """A recorder that also says what `?answer=` names."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await super().__call__(_Peeking(reader, writer, self), writer)  # type: ignore[arg-type]


ANSWERS = {
    b"413": b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    b"101": b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    b"302": b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n",
    b"cookies": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nset-cookie: a=1; Domain=.site.test\r\n"
    b"set-cookie: b=2\r\nset-cookie: c=3; Path=/\r\n\r\n",
}


class _Peeking:
    """A reader that answers a head by itself where its target asks for that."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recorder: Recorder) -> None:
        self._reader, self._writer, self._recorder = reader, writer, recorder

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    async def readuntil(self, separator: bytes) -> bytes:
        raw = await self._reader.readuntil(separator)
        _, found, name = raw.split(b" ")[1].partition(b"?answer=") if separator == b"\r\n\r\n" else (b"", b"", b"")
        if not found:
            return raw
        self._recorder.requests.append(self._recorder._read_head(raw))
        self._writer.write(ANSWERS[name])
        await self._writer.drain()
        raise asyncio.IncompleteReadError(b"", None)


def service_of(name: str) -> Recorder | Talker:
    return Talker() if name.startswith(("row_16", "row_17", "row_18")) else Answering()


async def run_all(server: str) -> dict[str, BaseException | None]:
    """Every scenario at the same time against one node."""
    store = MemoryStore(clock=lambda: 0.0)
    attacks = {name: Attack(name, server, service=service_of(name)) for name in SCENARIOS}  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        for name, attack in attacks.items():
            attack.raw = await stack.enter_async_context(raw_server(attack.service))
            instance = announced(name, attack.raw.address, routes=[f"/{name}/{{rest:path}}"])
            await store.register(instance, LeaseState(name, name, "127.0.0.1", signed=True))
        hydra = Hydra(gateway=True, key=KEY, secret=SECRET, store=store, routes=["/own"])
        port = await stack.enter_async_context(node(server=server, hydra=hydra))
        for attack in attacks.values():
            attack.port = port

        async def run(attack: Attack) -> None:
            async with asyncio.timeout(25):
                await SCENARIOS[attack.name](attack)
            if isinstance(attack.service, Recorder):
                assert not attack.service.wrong

        ran = await asyncio.gather(*map(run, attacks.values()), return_exceptions=True)
    return dict(zip(attacks, ran, strict=True))


@pytest.fixture(scope="module", params=SERVERS)
def outcomes(request: pytest.FixtureRequest) -> dict[str, BaseException | None]:
    logger = logging.getLogger("hydra_asgi")
    logger.setLevel(logging.CRITICAL)
    try:
        return asyncio.run(run_all(request.param))
    finally:
        logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("name", SCENARIOS)
def test_row(outcomes: dict[str, BaseException | None], name: str) -> None:
    """Each scenario says in its own words what may happen."""
    failure = outcomes[name]
    if failure is not None:
        raise failure
