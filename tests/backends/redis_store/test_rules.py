"""The scripts keep the same rules as the book of leases, in any order of calls."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hydra_asgi.backends.redis_store import RedisStore
from hydra_asgi.core.directory.leases import LeaseBook
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.core.routing.token import first_token
from hydra_asgi.errors import RefusedError
from hydra_asgi.ports import LeaseState
from tests.backends.redis_store.servers import a_server, a_store, name_of
from tests.faults.redis_server import RedisServer

STEP = 0.65
"""No sum of these is near a deadline, so that the milliseconds that calls take do not matter."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with a_server(tmp_path_factory.mktemp("rules")) as server:
        yield server


class Both:
    """A book of leases and a store that are told the same at the same time."""

    def __init__(self, server: RedisServer, store: RedisStore, alarms: list[str], seed: int) -> None:
        self.server, self.store, self.alarms = server, store, alarms
        self.book, self.now, self.book_alarms = LeaseBook(), 0.0, 0
        self.random = random.Random(seed)
        self.trace: list[str] = []

    async def set_clock(self) -> None:
        def move() -> None:
            answer = self.server.ask("TIME")
            assert isinstance(answer, list)
            seconds, micros = (int(part) for part in answer if isinstance(part, bytes))
            self.server.ask(
                "HSET", name_of(self.store, "META"), "time", round(self.now * 1000), "seen",
                seconds * 1000 + micros // 1000,
            )  # fmt: skip

        await asyncio.to_thread(move)

    async def pass_time(self) -> None:
        self.now += STEP
        await self.set_clock()
        await self.store.revision()
        self.book_alarms += bool(self.book.sweep(self.now).alarm)

    async def do(self) -> None:
        chance = self.random
        service = chance.choice(["orders", "shop"])
        lease = f"{service}{chance.randrange(9)}"
        counter = chance.choice([0, 0, 0, chance.randrange(1, 12)])
        match chance.choices(["register", "renew", "release", "drain", "vouch"], [5, 6, 1, 1, 1])[0]:
            case "register":
                port = chance.randrange(1, 9)
                instance = ServiceInstance(
                    service, Address("http", "10.0.0.1", port), version=chance.randrange(2), routes=(Route("/o"),)
                )
                owner = service if chance.random() < 0.9 else "menu"
                state = LeaseState(lease, owner, "10.0.0.1", signed=chance.random() < 0.2, counter=counter)
                self.trace.append(f"{self.now:.2f} register {port} {state}")
                both = (
                    lambda: self.book.register(replace(instance, service=owner), state, self.now),
                    self.store.register(replace(instance, service=owner), state),
                )
            case "renew":
                self.trace.append(f"{self.now:.2f} renew {lease} {counter}")
                both = (
                    lambda: self.book.renew(lease, service, self.now, counter=counter),
                    self.store.renew(lease, service, counter=counter),
                )
            case "release":
                self.trace.append(f"{self.now:.2f} release {lease} {counter}")
                both = (
                    lambda: self.book.release(lease, service, self.now, counter=counter),
                    self.store.release(lease, service, counter=counter),
                )
            case verb:
                token = first_token(service, Address("http", "10.0.0.1", chance.randrange(1, 9)))
                draining = chance.random() < 0.6
                self.trace.append(f"{self.now:.2f} {verb} {token} {draining}")
                both = (
                    (lambda: self.book.vouch(token, self.now), self.store.vouch(token))
                    if verb == "vouch"
                    else (
                        lambda: self.book.drain(token, self.now, draining=draining),
                        self.store.drain(token, draining=draining),
                    )
                )
        outcomes = []
        for call in both:
            try:
                result = call() if callable(call) else await call
            except RefusedError as error:
                outcomes.append((error.status, error.reason))
            else:
                outcomes.append(replace(result, order=0) if isinstance(result, ServiceInstance) else result)
        assert outcomes[0] == outcomes[1], "\n".join(self.trace)

    async def compare(self) -> None:
        snapshot = await self.store.snapshot()
        there = [replace(listed, order=0) for listed in snapshot.instances]
        here = [replace(listed, order=0) for listed in self.book.instances]
        assert there == here, "\n".join(self.trace)
        leases = sorted(await self.store.leases_of("orders", "10.0.0.1"), key=lambda lease: lease.id)
        known = sorted(self.book.leases_of("orders", "10.0.0.1", self.now), key=lambda lease: lease.id)
        # A lapsed lease beside a living one may be dropped a few seconds later.
        assert [lease for lease in leases if lease.active] == [lease for lease in known if lease.active], self.trace


@pytest.mark.parametrize("seed", range(12))
async def test_any_calls_have_the_same_outcome(server: RedisServer, seed: int) -> None:
    """Registrations, beats, releases, drains, vouches and silence: what is listed, refused and alarmed is the same."""
    alarms: list[str] = []
    async with a_store(server, on_alarm=alarms.append) as store:
        await store.revision()
        both = Both(server, store, alarms, seed)
        await both.set_clock()
        both.book.sweep(0.0)
        for _ in range(60):
            for _ in range(both.random.choice([0, 0, 1, 3, 6])):
                await both.do()
            before = (both.book.counter, await store.revision())
            await both.pass_time()
            moved = (both.book.counter != before[0], await store.revision() != before[1])
            assert moved[0] == moved[1], "\n".join(both.trace)
            await both.compare()
        assert len(alarms) == both.book_alarms
