"""What users see of instances that die, hang, fail and talk nonsense: real sockets, and real processes to kill."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hydra_asgi.backends.native_upstream import NativeUpstream
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.gateway.observation import ForwardRecord
from hydra_asgi.ports import Clock, Timeouts
from tests.doubles.hand_clock import HandClock
from tests.e2e.processes import Process, all_of, free_port, server_command
from tests.exchange import Exchange, exchange, http_scope
from tests.raw_server import raw_server, read_head, reset, says

pytestmark = pytest.mark.e2e

Eventually = Callable[..., Any]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"


class Site:
    """A forwarder in this process before instances on loopback, and the records of what it did."""

    def __init__(self, *addresses: Address, timeouts: Timeouts = Timeouts(), clock: Clock = time.monotonic) -> None:  # noqa: B008 -- a frozen value
        self.group = Group.build(
            ServiceInstance("orders", address, token=1_000_000_000 + number, order=number)
            for number, address in enumerate(addresses)
        )
        self.records: list[ForwardRecord] = []
        self.upstream = NativeUpstream()
        terms = ForwardingTerms(
            pseudonym="gateway",
            trusted=lambda ip: False,
            vouch=lambda token: None,
            timeouts=timeouts,
            health=InstanceHealth(clock=clock),
            on_record=self.records.append,
        )
        self._forward = Forwarder(self.upstream, terms)

    async def ask(self, key: str = "", method: str = "GET") -> Exchange:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self._forward(scope, receive, send, group=self.group, key=key, target=b"/")

        return await exchange(app, http_scope(method=method))

    async def load(self, requests: int, rate: float, answers: list[Exchange], starts: list[float]) -> None:
        """Send requests at a steady rate, whether or not the ones before were answered."""

        async def one(number: int) -> None:
            starts.append(time.monotonic())
            answers.append(await self.ask(str(number)))

        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(requests):
                await asyncio.sleep(began + number / rate - time.monotonic())
                tasks.create_task(one(number))

    @property
    def attempts(self) -> int:
        return sum(record.attempts for record in self.records)


@contextlib.asynccontextmanager
async def site(*addresses: Address, **options: Any) -> AsyncIterator[Site]:
    made = Site(*addresses, **options)
    try:
        yield made
    finally:
        await made.upstream.close()


@contextlib.contextmanager
def instances(tmp_path: Path, count: int = 2) -> Iterator[Sequence[Process]]:
    """Real instances in processes of their own."""
    processes = [member(tmp_path, free_port()) for _ in range(count)]
    with all_of(*processes):
        yield processes


def member(tmp_path: Path, port: int, **env: str) -> Process:
    command = server_command("uvicorn", "tests.gateway.fault_app:app", port, lifespan=False)
    return Process([*command, "--no-access-log"], tmp_path / f"{port}.log", port=port, env=env)


def address(process: Process) -> Address:
    assert process.port is not None
    return Address("http", "127.0.0.1", process.port)


def statuses(answers: Sequence[Exchange]) -> set[int]:
    return {answer.status for answer in answers}


async def test_a_killed_instance_costs_no_get(tmp_path: Path, eventually: Eventually) -> None:
    """SIGKILL to one of two under 200 GETs a second: every request is answered, and the dead one is soon left alone."""
    answers: list[Exchange] = []
    with instances(tmp_path) as (first, second):
        async with site(address(first), address(second)) as running:
            load = asyncio.create_task(running.load(600, 200, answers, []))
            await eventually(lambda: len(answers) >= 300, 20)
            first.kill()
            await load
            assert statuses(answers) == {200}
            assert len(answers) == 600
            # Three failures, what was on its way together with them, and a try now and then.
            assert running.attempts - 600 < 40
            late = running.records[-200:]
            assert sum(record.attempts > 1 for record in late) <= 2


async def test_a_stopped_instance_is_left_out(tmp_path: Path, eventually: Eventually) -> None:
    """SIGSTOP to one of two: who is caught waits for one timeout; soon after, everybody is served at once."""
    answers: list[Exchange] = []
    starts: list[float] = []
    with instances(tmp_path) as (first, second):
        async with site(address(first), address(second), timeouts=Timeouts(first_byte=2.0)) as running:
            load = asyncio.create_task(running.load(1000, 200, answers, starts))
            await eventually(lambda: len(answers) >= 500, 20)
            os.kill(first.pid, signal.SIGSTOP)
            stopped = time.monotonic()
            try:
                await load
            finally:
                os.kill(first.pid, signal.SIGCONT)
            assert statuses(answers) == {200}
            assert max(record.seconds for record in running.records) < 8.0
            caught = sum(record.seconds >= 1.5 for record in running.records)
            before_it_was_noticed = sum(stopped <= start < stopped + 1.3 for start in starts)
            assert 8 <= caught <= before_it_was_noticed + 8


async def test_all_down_is_said_at_once_and_recovers(tmp_path: Path) -> None:
    """With both killed a 503 takes no time and says when to come back; with one back, so is the site."""
    with instances(tmp_path) as (first, second):
        async with site(address(first), address(second)) as running:
            assert (await running.ask()).status == 200
            first.kill()
            second.kill()
            answers = [await running.ask(str(number)) for number in range(30)]
            assert statuses(answers[1:]) == {503}
            assert all(answer.header(b"retry-after") == b"3" for answer in answers[1:])
            assert all((answer.header(b"proxy-status") or b"").startswith(b"hydra; error=") for answer in answers[1:])
            # Half of what an attempt to connect may take.
            assert statistics.median(record.seconds for record in running.records) < 0.5
            with member(tmp_path, second.port or 0):
                async with asyncio.timeout(10):
                    while (await running.ask("k")).status != 200:  # noqa: ASYNC110 - asks another process
                        await asyncio.sleep(0.02)
                assert statuses([await running.ask(str(number)) for number in range(20)]) == {200}


async def test_an_instance_that_fails_half_of_the_time_is_found_out() -> None:
    """Ten seconds at 200 requests a second: at most one in twenty answers is an error, and the bad one gets tries."""
    chance, clock = random.Random(1), HandClock()

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            writer.write(OK if chance.random() < 0.5 else BROKEN)

    async with (
        raw_server(half) as bad,
        raw_server(says(OK)) as good,
        site(bad.address, good.address, clock=clock) as running,
    ):
        errors = 0
        for number in range(2000):
            clock.time = number / 200
            errors += (await running.ask(str(number))).status == 500
        assert 0 < errors <= 100
        where = [record.instance for record in running.records]
        assert where.count(bad.address.netloc) < 400


async def test_a_lone_instance_that_fails_is_never_left_out() -> None:
    """There is nobody else, so every request is sent to it and every answer passed on."""
    async with raw_server(says(BROKEN)) as lone, site(lone.address) as running:
        assert statuses([await running.ask(str(number)) for number in range(100)]) == {500}
        assert running.attempts == 100


async def test_a_storm_is_not_amplified() -> None:
    """When all instances reset all requests, 500 a second, they get at most a quarter on top."""
    clock, requests = HandClock(), 600
    storm = says(then=reset)
    async with (
        raw_server(storm) as one,
        raw_server(storm) as two,
        site(one.address, two.address, clock=clock) as running,
    ):
        answers = []
        for number in range(requests):
            clock.time = number / 500
            answers.append(await running.ask(str(number)))
        assert statuses(answers) == {502}
        assert requests < one.accepted + two.accepted <= 1.25 * requests


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
    ],
)
async def test_nonsense_is_a_bad_gateway(nonsense: bytes) -> None:
    """It is said at once, the connection is not used again, and the next good answer is passed on."""
    answered: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        answered.append(OK if answered else nonsense)
        writer.write(answered[-1])
        if len(answered) == 1:
            await writer.drain()
            writer.close()

    async with raw_server(handler) as lone, site(lone.address) as running:
        first = await running.ask(method="POST")
        assert first.status == 502
        assert b"127.0.0.1" not in first.body
        assert running.records[0].seconds < 5.0
        assert (await running.ask()).status == 200
        assert lone.accepted == 2


async def test_nobody_picks_up() -> None:
    """An address that swallows connection attempts costs one connect timeout each, and then nothing."""
    clogged = socket.socket()
    clogged.bind(("127.0.0.1", 0))
    clogged.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(clogged.getsockname())
    try:
        where = Address("http", "127.0.0.1", clogged.getsockname()[1])
        timeouts = Timeouts(connect=0.1)
        async with raw_server(says(OK)) as good, site(where, good.address, timeouts=timeouts) as running:
            answers = [await running.ask(str(number), method="POST") for number in range(30)]
            assert statuses(answers) == {200}
            assert running.attempts == 33
    finally:
        for opened in (clogged, *fillers):
            opened.close()


async def test_few_files_shed_load(tmp_path: Path) -> None:
    """A gateway that may open 128 files serves 60 clients at once by letting half of them wait; 150 do not end it."""
    back, port = member(tmp_path, free_port(), SLEEP_MS="300"), free_port()
    front = member(tmp_path, port, INSTANCE=str(back.port))
    front.command = ["bash", "-c", 'ulimit -n 128; exec "$@"', "bash", *front.command]

    async def status() -> bytes:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: site.test\r\nconnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer[9:12]

    with all_of(back, front):
        assert await status() == b"200"
        assert set(await asyncio.gather(*(status() for _ in range(60)))) == {b"200"}
        # Servers on uvloop hang up on clients for whom there is no file left; others let them wait.
        assert set(await asyncio.gather(*(status() for _ in range(150)))) <= {b"200", b"503", b""}
        assert await status() == b"200"
