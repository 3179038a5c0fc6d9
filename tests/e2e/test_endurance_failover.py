"""Instances and gateways that end without a word, or get slow, while users are there."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.client import get
from tests.e2e.endurance import Gateway, sized, tell
from tests.e2e.processes import Process, free_port, wait_until
from tests.faults.fleet import Fleet
from tests.faults.http_client import HttpClient, HttpError
from tests.faults.load import Load
from tests.faults.redis_server import RedisServer
from tests.pace import at_usual_pace
from tests.raw_server import raw_server, read_head, reset

pytestmark = pytest.mark.e2e


def test_s1_an_instance_is_killed(tmp_path: Path) -> None:
    """One of two instances under load gets `kill -9`: not one GET fails."""
    with Fleet(tmp_path, "memory://") as fleet:
        fleet.hub(gateways=1, services=["orders", "orders"])
        victim = fleet.members[-1]
        with Load(fleet.gateways, gets=sized(150, 500), posts=0, streams=0, sockets=0) as load:
            wait_until(lambda: {one.served_by for one in load.outcomes} >= {str(victim.serves)}, "both serve")
            load.run(sized(1, 20))
            victim.kill()
            load.run(sized(3, 20))
        gets = len(load.outcomes)
        tell(f"{len(load.failed)} of {gets} GETs failed")
        assert load.failed == [], fleet.told
        assert gets > sized(300, 10_000)


HAPROXY = """
global
    maxconn 2000
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch
    retry-on conn-failure empty-response response-timeout
frontend site
    bind 127.0.0.1:{front}
    default_backend gateways
backend gateways
    option httpchk GET /h/ready
    default-server check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions
    server one 127.0.0.1:{one}
    server two 127.0.0.1:{two}
"""


class Entry:
    """Where users come in: what `Load` needs of a member."""

    def __init__(self, port: int) -> None:
        self.host = "127.0.0.1"
        self.serves = port


def test_g1_a_gateway_is_killed(tmp_path: Path) -> None:
    """One of two gateways behind HAProxy gets `kill -9`: no page fails, streams on the other go on, it comes back."""
    front = free_port()
    with RedisServer(tmp_path) as redis, Fleet(tmp_path, redis.url) as fleet:
        fleet.hub(gateways=2, services=["orders", "orders"])
        victim, other = fleet.gateways
        config = tmp_path / "haproxy.cfg"
        config.write_text(HAPROXY.format(front=front, one=victim.serves, two=other.serves))
        haproxy = Process(["haproxy", "-db", "-f", str(config)], tmp_path / "haproxy.log", port=front)
        with haproxy:
            wait_until(lambda: get(front, "/orders/page/1").status == 200, lambda: haproxy.output)
            through = Load([Entry(front)], gets=sized(80, 200), posts=0, streams=0, sockets=0)  # type: ignore[list-item]  # has what is needed
            beside = Load([other], gets=sized(20, 50), posts=5, streams=5, sockets=5)
            with through, beside:
                through.run(sized(1, 10))
                victim.kill()
                through.run(sized(2, 10))
                killed = time.monotonic()
                victim.start()
                wait_until(lambda: victim.answers() and victim.health.code == 200, fleet.told)
                back, used = time.monotonic() - killed, victim.cpu_seconds
                through.run(sized(1, 5))
        tell(f"{len(through.failed)} of {len(through.outcomes)} GETs through HAProxy failed")
        tell(f"{len(beside.failed)} of {len(beside.outcomes)} outcomes on the other gateway failed")
        tell(f"ready again {back:.2f} s after its start, for which it used {used:.2f} s of processor time")
        assert beside.failed == [], fleet.told
        assert through.failed == [], fleet.told
        assert back < 15
        assert used < at_usual_pace(sized(4.0, 2.0))  # the bar is 2 s, on a machine that has nothing else to do


def test_s6_connections_that_close_when_they_are_used(tmp_path: Path) -> None:
    """A service that closes kept connections just when they are used again costs no GET."""
    asyncio.run(use_what_closes(tmp_path, sized(1500, 10_000)))


async def use_what_closes(folder: Path, count: int) -> None:
    """Some users, who send so many GETs to a service that keeps no connection for longer than they pause."""
    chance, users, failed = random.Random(6), 5, list[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        patience: float | None = None  # the first request on a connection is waited for
        with contextlib.suppress(TimeoutError):  # and a later one may be on its way when this happens
            while await asyncio.wait_for(read_head(reader), patience):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")
                patience = chance.uniform(0.0005, 0.006)

    async def use(port: int) -> None:
        client = HttpClient("127.0.0.1", port)
        for _ in range(count // users):
            await asyncio.sleep(chance.uniform(0, 0.006))
            try:
                answer = await client.ask("GET", "/files/x")
            except (OSError, HttpError) as error:
                failed.append(repr(error))
            else:
                if (answer.status, answer.body) != (200, b"page"):
                    failed.append(f"{answer}")
        client.close()

    async with raw_server(serve) as server:
        gateway = Gateway(folder, ("files", f"http://127.0.0.1:{server.address.port}"))
        with contextlib.ExitStack() as ends:
            await asyncio.to_thread(ends.enter_context, gateway)
            await asyncio.gather(*(use(gateway.serves) for _ in range(users)))
    tell(f"{len(failed)} of {count} GETs failed; they took {server.accepted} connections")
    assert failed == [], gateway.output
    assert server.accepted > count // 20


def test_s10_retries_are_no_storm(tmp_path: Path) -> None:
    """When both instances reset everything, 500 times a second, they get at most a quarter more than the users ask."""
    asyncio.run(ask_in_vain(tmp_path, sized(1500, 10_000)))


async def ask_in_vain(folder: Path, count: int) -> None:
    """So many GETs by the clock for a service that was well and is not any more."""
    is_well, asked, told = True, 0, Counter[int]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while await read_head(reader):
            if not is_well:
                asked += 1
                reset(writer)
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")

    async def ask(client: HttpClient, number: int) -> None:
        told[(await client.ask("GET", f"/files/{number}")).status] += 1

    async with raw_server(serve) as one, raw_server(serve) as two:
        urls = [("files", f"http://127.0.0.1:{server.address.port}") for server in (one, two)]
        gateway = Gateway(folder, *urls)
        with contextlib.ExitStack() as ends:
            await asyncio.to_thread(ends.enter_context, gateway)
            await asyncio.to_thread(gateway.wait_for, "files")
            client, is_well, began = HttpClient("127.0.0.1", gateway.serves), False, time.monotonic()
            async with asyncio.TaskGroup() as users:
                for number in range(count):
                    await asyncio.sleep(began + number / 500 - time.monotonic())
                    users.create_task(ask(client, number))
            client.close()
    tell(f"{count} GETs became {asked} ({asked / count:.3f} times as many); answered {dict(told)}")
    assert set(told) <= {502, 503}, told
    assert count < asked <= 1.25 * count
