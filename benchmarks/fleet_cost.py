"""What a fleet costs its Redis: `python -m benchmarks.fleet_cost`. Needs `redis-server`; ends what it starts.

Instances are registered through the store that nodes use, beat every 3 seconds as nodes do, and gateways follow the
directory as gateways do. Redis has one core, this process the other: where it cannot send as many beats as
the instances would, the rate that was reached is what is printed.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.beat_load import Beats, Lease
from benchmarks.machine import cores
from benchmarks.processes import Processes, StartError, free_port
from benchmarks.redis_meter import Meter, Reading, Spent
from benchmarks.tools import Command
from hydra_asgi.backends.stores import open_store
from hydra_asgi.core.directory.lease_times import BEAT_SECONDS, SWEEP_SECONDS
from hydra_asgi.core.instance import Address, FragmentDeclaration, MenuItem, Route, ServiceInstance
from hydra_asgi.ports import LeaseState, Store

__all__ = ["Cost", "calculated", "main"]

REDIS = Command("redis-server", "redis-server", ask="--version")
AT_ONCE = 32
"""Calls in progress: enough to keep Redis busy, few enough for two stores' connections."""

ALONE = 1_000
"""How often one kind of command is sent to learn its price."""

CHANGES = 5

TOGETHER = 250

INTERRUPTED = 130

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """What was measured with so many instances.

    Attributes:
        redis: its version.
        instances: how many.
        gateways: who follow the directory.
        register_seconds: until all were registered.
        memory: bytes for each instance.
        beat: what one costs.
        poll: one that finds no change.
        change: one change of one instance, for one gateway that takes it over.
        whole: the whole directory, for one gateway that starts.
        whole_seconds: until it was there.
        steady: each second while nothing changes.
        beats: that were sent each second of it.
    """

    redis: str
    instances: int
    gateways: int
    register_seconds: float
    memory: float
    beat: Spent
    poll: Spent
    change: Spent
    whole: Spent
    whole_seconds: float
    steady: Spent
    beats: float


def calculated(beat: Spent, poll: Spent, *, instances: int, gateways: int) -> Spent:
    """What a fleet costs each second while nothing changes, from what one beat and one poll cost."""
    return beat.times(instances / BEAT_SECONDS) + poll.times(gateways / SWEEP_SECONDS)


def main() -> int:
    """Measure and print; returns the exit code."""
    chosen = _parser().parse_args()
    try:
        for count in chosen.instances:
            for line in shown(_on_a_server(count, chosen.gateways, chosen.seconds)):
                sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except (StartError, FileNotFoundError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted; everything that was started has ended")
        return INTERRUPTED
    return 0


def shown(cost: Cost) -> list[str]:
    """The figures in words, one line for each."""
    expected = calculated(cost.beat, cost.poll, instances=cost.instances, gateways=cost.gateways)
    reached = calculated(cost.beat, cost.poll, instances=round(cost.beats * BEAT_SECONDS), gateways=cost.gateways)
    return [
        f"{cost.instances:,} instances, {cost.gateways} gateways, Redis {cost.redis}",
        f"  registered in {cost.register_seconds:.2f} s, {cost.memory:,.0f} bytes of memory each",
        f"  one beat            {_one(cost.beat)}",
        f"  one poll            {_one(cost.poll)}",
        f"  one change, gateway {_one(cost.change)}",
        f"  whole directory     {_one(cost.whole)}, there after {cost.whole_seconds:.2f} s",
        f"  each second         {_second(cost.steady)}, at {cost.beats:,.0f} beats",
        f"  calculated for that {_second(reached)}",
        f"  calculated          {_second(expected)}, at {cost.instances / BEAT_SECONDS:,.0f} beats",
    ]


def _one(spent: Spent) -> str:
    return (
        f"{spent.commands:,.1f} commands, {spent.received:,.0f} bytes in, {spent.sent:,.0f} bytes out, "
        f"{spent.cpu * 1e6:,.0f} us of Redis"
    )


def _second(spent: Spent) -> str:
    return (
        f"{spent.commands:,.0f} commands, {spent.received / 1000:,.1f} kB in, {spent.sent / 1000:,.1f} kB out, "
        f"{spent.cpu:.1%} of a core"
    )


def _on_a_server(count: int, gateways: int, seconds: float) -> Cost:
    redis_core, _ = cores()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        words = (REDIS.path, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder)
        server = processes.start("redis-server", words, core=redis_core)
        server.wait_for(lambda: _answers(port))
        with Meter(port) as meter:
            return asyncio.run(_measure(port, meter, count, gateways, seconds))


def _answers(port: int) -> bool:
    with Meter(port) as meter:
        return meter.read().memory > 0


async def _measure(port: int, meter: Meter, count: int, gateways: int, seconds: float) -> Cost:
    url = f"redis://127.0.0.1:{port}/0?timeout=10"
    async with _stores(url, 2 + gateways) as (one, two, *followers), Beats.opened(port) as beats:
        await _warm_up((one, two, *followers))
        fleet = [instance(number) for number in range(count)]
        leases = [_lease(known) for known in fleet]
        before, began = meter.read(), time.perf_counter()
        await _register_all(fleet, (one, two), beats)
        register_seconds = time.perf_counter() - began
        memory = (meter.read().memory - before.memory) / count

        # Between what is measured everybody beats once, so that nobody falls silent meanwhile.
        looked = itertools.islice(itertools.cycle(leases), ALONE)
        beat = await _spent(meter, _each(looked, lambda lease, store: store.renew(*lease), (one, two)))
        poll = await _spent(meter, _each(range(ALONE), lambda _, store: store.revision(), (one, two)))
        for follower in followers:
            await beats.once(leases)
            began = time.perf_counter()
            whole = await _spent(meter, follower.snapshot())
            whole_seconds = time.perf_counter() - began
        await beats.once(leases)
        async with _following(followers):
            await beats.steadily(leases, 1.0)  # until they are subscribed
            change = await _spent(meter, _change(one, fleet[:CHANGES], followers))
            await beats.steadily(leases, BEAT_SECONDS)
            before, began = meter.read(), time.perf_counter()
            beaten = await beats.steadily(leases, seconds)
            passed = time.perf_counter() - began
            steady = meter.read().since(before).per(passed)
    return Cost(
        redis=meter.version(),
        instances=count,
        gateways=gateways,
        register_seconds=register_seconds,
        memory=memory,
        beat=beat.per(ALONE),
        poll=poll.per(ALONE),
        change=change.per(len(fleet[:CHANGES]) * gateways),
        whole=whole,
        whole_seconds=whole_seconds,
        steady=steady,
        beats=beaten / passed,
    )


async def _warm_up(stores: Sequence[Store]) -> None:
    """Open the connections and let Redis learn the scripts: neither is part of the price of a command."""
    for store in stores:
        await store.snapshot()
        first = instance(0)
        await _register(store, first)
        await store.renew(*_lease(first))
        await store.release(*_lease(first))
    await _each(range(AT_ONCE * 4), lambda _, store: store.revision(), stores)


def instance(number: int) -> ServiceInstance:
    """An instance as a usual app announces it: six routes, two fragments, one menu item; ten of each service."""
    service = f"service{number // 10}"
    return ServiceInstance(
        service=service,
        address=Address("http", f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 8000),
        version=1 + number % 2,
        routes=tuple(
            Route(f"/{service}{rest}", methods)
            for rest, methods in (
                ("", frozenset({"GET"})),
                ("/items", frozenset({"GET", "POST"})),
                ("/items/{id:int}", frozenset({"GET", "PUT", "DELETE"})),
                ("/search", frozenset({"GET"})),
                ("/account/{name}", frozenset({"GET"})),
                ("/files/{path:path}", frozenset({"GET"})),
            )
        ),
        fragments=(FragmentDeclaration("summary"), FragmentDeclaration("details")),
        menu_items=(MenuItem("main", f"/{service}", service.capitalize()),),
        active_since=1_795_000_000_000,
    )


async def _register(store: Store, announced: ServiceInstance) -> None:
    lease, service = _lease(announced)
    await store.register(announced, LeaseState(lease, service, announced.address.host, signed=True))


async def _register_all(fleet: Sequence[ServiceInstance], stores: Sequence[Store], beats: Beats) -> None:
    """Register, some hundred at a time; who was early beats meanwhile."""
    leases: list[Lease] = []
    beaten = time.perf_counter()
    for some in (fleet[at : at + TOGETHER] for at in range(0, len(fleet), TOGETHER)):
        await _each(some, lambda announced, store: _register(store, announced), stores)
        if time.perf_counter() - beaten > BEAT_SECONDS / 3:
            beaten = time.perf_counter()
            await beats.once(leases)
        leases += map(_lease, some)


def _lease(known: ServiceInstance) -> Lease:
    """With a name as long as one that a node makes up."""
    return f"{known.address.host:-<24}", known.service


async def _spent(meter: Meter, doing: Awaitable[object]) -> Spent:
    before: Reading = meter.read()
    await doing
    return meter.read().since(before)


async def _each(things: Iterable[T], call: Callable[[T, Store], Awaitable[object]], stores: Sequence[Store]) -> None:
    """Call for each thing, so many at a time, through these stores in turn."""
    left = iter(things)

    async def work(store: Store) -> None:
        for thing in left:
            await call(thing, store)

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(work(stores[number % len(stores)]))


async def _change(store: Store, fleet: Sequence[ServiceInstance], followers: Sequence[Store]) -> None:
    """Change one instance after the other; each is taken over by all gateways before the next."""
    for known in fleet:
        await _register(store, replace(known, weight=known.weight + 1))
        for follower in followers:
            await follower.revision()
            await follower.snapshot()


@asynccontextmanager
async def _following(stores: Sequence[Store]) -> AsyncIterator[None]:
    """Be gateways, as far as Redis is concerned: subscribed to changes, and asking for the revision."""

    async def poll(store: Store) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await store.revision()

    for store in stores:
        await store.snapshot()
    ends = [store.on_change(lambda: None) for store in stores]
    tasks = [asyncio.create_task(poll(store)) for store in stores]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            end()


@asynccontextmanager
async def _stores(url: str, count: int) -> AsyncIterator[list[Store]]:
    opened = [open_store(url) for _ in range(count)]
    try:
        yield opened
    finally:
        for store in opened:
            await store.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet_cost", description=__doc__)
    parser.add_argument(
        "instances", type=int, nargs="*", default=[10, 1_000, 10_000], help="how many; 10, 1000 and 10000 by default"
    )
    parser.add_argument("--gateways", type=int, default=2, metavar="G", help="who follow the directory; 2 by default")
    parser.add_argument("--seconds", type=float, default=12.0, metavar="S", help="of steady state; 12 by default")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"fleet_cost: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
