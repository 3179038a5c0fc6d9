"""Users of a site: an open-loop load on several gateways whose every answer is checked.

Requests are sent by the clock, whether earlier ones were answered or not, and their latency counts from when they were
due: a gateway that stands still for a second is seen to do so. Runs in a thread while the test does harm.

    with Load(fleet.gateways) as load:
        load.run(2)                    # the usual
        redis.kill()
        with load.window() as during:
            load.run(3)
    assert load.failed == []
    assert during.p99 ...
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.faults.fleet import Member
from tests.faults.http_client import HttpClient, HttpError
from tests.faults.loop_thread import LoopThread
from tests.faults.site_app import LINES

__all__ = ["Load", "Outcome", "Window"]

PATIENCE = 5.0
"""Seconds after which an answer has failed."""

SILENCE = 2.0
"""Seconds without an event or an echo after which a stream or a WebSocket has failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request, or one event of a stream, or one echo.

    Attributes:
        at: when it was due, on the monotonic clock.
        seconds: from then to its end.
        kind: GET, POST, SSE or WS.
        trouble: what the client saw that it should not; empty when all was well.
        served_by: the port of the instance that answered a GET.
    """

    at: float
    seconds: float
    kind: str
    trouble: str = ""
    served_by: str = ""


@dataclass
class Window:
    """The outcomes of requests that were due within a span of time."""

    began: float
    ended: float = math.inf
    outcomes: list[Outcome] = field(default_factory=list)

    def of(self, kind: str) -> list[Outcome]:
        """Those of one kind, due in this window."""
        return [one for one in self.outcomes if one.kind == kind and self.began <= one.at < self.ended]

    def quantile(self, part: float, kind: str = "GET") -> float:
        """Seconds within which this part of the requests was answered."""
        taken = sorted(one.seconds for one in self.of(kind))
        assert taken, f"no {kind} in this window"
        return taken[min(len(taken) - 1, math.ceil(part * len(taken)) - 1)]

    @property
    def p99(self) -> float:
        """Seconds within which 99 % of the GETs were answered."""
        return self.quantile(0.99)

    @property
    def p50(self) -> float:
        """Seconds within which half of the GETs were answered."""
        return self.quantile(0.5)


class Load:
    """Users who are there while the context is open.

    Args:
        gateways: where they go, in turn.
        service: whose pages they want.
        gets: GETs a second, over all gateways.
        posts: POSTs a second.
        streams: clients that listen to events.
        sockets: clients that send a message over a WebSocket twice a second and want it back.

    Attributes:
        outcomes: everything so far.
    """

    def __init__(
        self,
        gateways: Sequence[Member],
        service: str = "orders",
        *,
        gets: float = 120.0,
        posts: float = 15.0,
        streams: int = 8,
        sockets: int = 12,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._clients = [HttpClient(gateway.host, gateway.serves) for gateway in gateways]
        self._service = service
        self._gets, self._posts, self._streams, self._sockets = gets, posts, streams, sockets
        self._thread = LoopThread()
        self._is_over = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []

    @property
    def failed(self) -> list[str]:
        """What clients saw and should not have: errors of ours, resets, wrong bytes, silence."""
        return [
            f"{one.kind} at {one.at:.3f} after {one.seconds:.3f} s: {one.trouble}"
            for one in self.outcomes
            if one.trouble
        ]

    @property
    def answered(self) -> int:
        """How many outcomes were good."""
        return sum(not one.trouble for one in self.outcomes)

    def run(self, seconds: float) -> None:
        """Let the users go on for so long."""
        time.sleep(seconds)

    @contextlib.contextmanager
    def window(self) -> Iterator[Window]:
        """Looks at what is due while this context is open."""
        window = Window(time.monotonic(), outcomes=self.outcomes)
        yield window
        window.ended = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.__enter__()
        self._thread.do(self._begin())
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._thread.do(self._end(), seconds=PATIENCE + 10)
        finally:
            self._thread.__exit__(*exception)

    async def _begin(self) -> None:
        start = asyncio.create_task
        self._running = [
            start(self._by_the_clock(self._gets, self._get)),
            start(self._by_the_clock(self._posts, self._post)),
        ]
        self._running += [start(self._listen(number)) for number in range(self._streams)]
        self._running += [start(self._talk(number)) for number in range(self._sockets)]

    async def _end(self) -> None:
        """What was begun is finished; then everything is closed."""
        self._is_over.set()
        await asyncio.gather(*self._running)
        for client in self._clients:
            client.close()

    async def _by_the_clock(self, rate: float, ask: Callable[[int, HttpClient], Awaitable[str]]) -> None:
        begun: set[asyncio.Task[None]] = set()
        began, number = time.monotonic(), 0
        while rate and not self._is_over.is_set():
            due = began + number / rate
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            task = asyncio.create_task(self._note(due, number, ask))
            begun.add(task)
            task.add_done_callback(begun.discard)
            number += 1
        await asyncio.gather(*begun)

    async def _note(self, due: float, number: int, ask: Callable[[int, HttpClient], Awaitable[str]]) -> None:
        kind = "GET" if ask == self._get else "POST"
        trouble, served_by = "", ""
        try:
            async with asyncio.timeout(PATIENCE):
                served_by = await ask(number, self._clients[number % len(self._clients)])
        except TimeoutError:
            trouble = f"no answer within {PATIENCE:g} s"
        except (OSError, HttpError) as error:
            trouble = repr(error)
        self.outcomes.append(Outcome(due, time.monotonic() - due, kind, trouble, served_by))

    async def _get(self, number: int, client: HttpClient) -> str:
        answer = await client.ask("GET", f"/{self._service}/page/{number}")
        status, body = answer.status, answer.body
        lines = body.decode().splitlines()
        words = lines[0].split() if lines else []
        if status != 200 or len(lines) != LINES or len(set(lines)) != 1 or words[::3] != [self._service, str(number)]:
            raise HttpError(f"{status} {body[:200]!r} from {client.port} for page {number}")
        return words[2]

    async def _post(self, number: int, client: HttpClient) -> str:
        sent = f"order {number}".encode() * 20
        answer = await client.ask("POST", f"/{self._service}/echo", sent)
        if answer.status != 200 or answer.body != sent:
            raise HttpError(f"{answer.status} {answer.body[:200]!r} from {client.port} for order {number}")
        return ""

    async def _listen(self, number: int) -> None:
        """One client that listens to events; a stream that ends is an outcome, and the client comes back."""
        client = self._clients[number % len(self._clients)]
        while not self._is_over.is_set():
            due, expected = time.monotonic(), 1
            try:
                async with contextlib.aclosing(client.events(f"/{self._service}/events", SILENCE)) as events:
                    async for event in events:
                        if event != b"data: %d\n\n" % expected:
                            raise HttpError(f"{event!r} in the place of event {expected} from {client.port}")
                        expected += 1
                        self.outcomes.append(Outcome(due, time.monotonic() - due, "SSE"))
                        due = time.monotonic()
                        if self._is_over.is_set():
                            return
                raise HttpError(f"the stream from {client.port} ended")
            except (OSError, HttpError) as error:
                self.outcomes.append(Outcome(due, time.monotonic() - due, "SSE", repr(error)))
                await asyncio.sleep(0.1)

    async def _talk(self, number: int) -> None:
        """One client with a WebSocket."""
        client = self._clients[number % len(self._clients)]
        url = f"ws://{client.host}:{client.port}/{self._service}/ws"
        count = 0
        while not self._is_over.is_set():
            due = time.monotonic()
            try:
                async with connect(
                    url, compression=None, ping_interval=None, proxy=None, open_timeout=PATIENCE
                ) as socket:
                    while not self._is_over.is_set():
                        due, count = time.monotonic(), count + 1
                        await socket.send(f"{number} {count}")
                        async with asyncio.timeout(SILENCE):
                            said = await socket.recv()
                        if said != f"{number} {count}":
                            raise HttpError(f"{said!r} in the place of echo {number} {count}")
                        self.outcomes.append(Outcome(due, time.monotonic() - due, "WS"))
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(0.5):
                                await self._is_over.wait()
            except (OSError, HttpError, WebSocketException, TimeoutError) as error:
                self.outcomes.append(Outcome(due, time.monotonic() - due, "WS", f"{client.port}: {error!r}"))
                await asyncio.sleep(0.1)
