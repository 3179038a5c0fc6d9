"""Row S9: a service that is slow, hangs or is asked too much keeps no place from others, and delays them by nothing.

Latencies on a machine that others use differ more from one second to the next than the bar allows. So calm and sick
windows alternate, in an order that a seed has shuffled, on the same connections, and each sick window is compared with
the calm one beside it; gateway and users have a core each. What is held to the bar is what the gateway did between the
start and the end of a request, in its own processor time: its work for others that came in between counts, as it makes
the request late, and what another program does on that core does not.
"""

import asyncio
import contextlib
import gc
import json
import math
import os
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.client import get
from tests.e2e.endurance import Gateway, opened, service, sized, tell
from tests.e2e.processes import all_of, wait_until
from tests.faults.http_client import HttpClient

pytestmark = pytest.mark.e2e

PLACES, QUEUE = 40, 10


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the other service does in calm and in sick windows.

    Attributes:
        calm: what it is asked then.
        sick: what it is asked in the others.
        rate: how often in a second.
        statuses: that its users may see.
    """

    calm: str
    sick: str
    rate: float
    statuses: frozenset[int]


SLOW = Trouble("/sick/nap?0.02", "/sick/nap?0.2", 60, frozenset({200}))
"""Ten times slower."""

HUNG = Trouble("/sick/page", "/sick/nap?0.9", 120, frozenset({200, 503}))
"""Three times as many are asked as there are places for."""


@contextlib.contextmanager
def cores_of_their_own(gateway: Gateway) -> Iterator[None]:
    """Let the gateway and this process have one core each, where there are two."""
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) < 2:
        yield
        return
    os.sched_setaffinity(gateway.pid, ours[:1])
    os.sched_setaffinity(0, ours[1:2])
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        os.sched_setaffinity(0, ours)


@pytest.mark.parametrize("trouble", [SLOW, HUNG], ids=["slow", "hung"])
def test_s9_others_are_not_delayed(tmp_path: Path, trouble: Trouble) -> None:
    """The p99 of another service's pages, and what the gateway spends on a request, stay what they are."""
    (sick, sick_url), (well, well_url) = service(tmp_path), service(tmp_path)
    gateway = Gateway(
        tmp_path,
        ("sick", sick_url),
        ("well", well_url),
        HYDRA_MAX_CONCURRENT=str(PLACES),
        HYDRA_MAX_QUEUE=str(QUEUE),
    )
    with all_of(sick, well, gateway), cores_of_their_own(gateway):
        gateway.wait_for("sick", "well")
        before = gateway.gauge
        get(gateway.serves, "/spans")
        pairs = asyncio.run(windows(gateway, trouble, pairs=sized(4, 20), seconds=sized(0.5, 1.5)))
        gateway.calm(before, files=60)
    in_all, inside = (changes([(one[at], two[at]) for one, two in pairs]) for at in (0, 1))
    tell(f"p99 of the other service's pages, as users see it: {in_all}")
    tell(f"p99 of the processor time from their start to their end: {inside}")
    assert inside.sick - inside.calm <= max(sized(1.0, 0.1) * inside.calm, sized(0.003, 0.001)), inside
    assert in_all.sick <= 2 * in_all.calm + 0.05, in_all


@dataclass(frozen=True, slots=True)
class Change:
    """Seconds in the middle calm and sick window, and the change in the middle pair, the first and the last quarter."""

    calm: float
    sick: float
    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        seconds = f"{self.calm * 1000:.2f} ms calm, {self.sick * 1000:.2f} ms sick"
        return f"{seconds}; {self.middle:+.1%} (half of the pairs: {self.low:+.1%} to {self.high:+.1%})"


def changes(pairs: list[tuple[float, float]]) -> Change:
    """What pairs of a calm and a sick window say."""
    calm, sick = (statistics.median(side) for side in zip(*pairs, strict=True))
    low, middle, high = statistics.quantiles([two / one - 1 for one, two in pairs], n=4)
    return Change(calm, sick, middle, low, high)


Seen = tuple[float, float]
"""The p99 that users saw, and the p99 of processor time inside."""


async def windows(gateway: Gateway, trouble: Trouble, *, pairs: int, seconds: float) -> list[tuple[Seen, Seen]]:
    """What was seen of the well service, in pairs of a calm window and a sick one beside it."""
    client, chance = HttpClient("127.0.0.1", gateway.serves), random.Random(9)
    found: list[tuple[Seen, Seen]] = []
    await window(client, trouble.calm, trouble, seconds)  # connections are opened, code is warm
    for _ in range(pairs):
        one: dict[str, Seen] = {}
        for path in chance.sample((trouble.calm, trouble.sick), 2):
            one[path] = await window(client, path, trouble, seconds)
        found.append((one[trouble.calm], one[trouble.sick]))
    client.close()
    return found


async def window(client: HttpClient, path: str, trouble: Trouble, seconds: float) -> Seen:
    """What was seen of the well service while the other one was asked for a path; ends when all are answered."""
    taken: list[float] = []
    began = time.monotonic() + 0.01

    async def ask(path: str, rate: float, lead: float, statuses: frozenset[int], taken: list[float]) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = began + lead + number / rate
                await asyncio.sleep(due - time.monotonic())
                group.create_task(once(path, due, statuses, taken))

    async def once(path: str, due: float, statuses: frozenset[int], taken: list[float]) -> None:
        answer = await client.ask("GET", path)
        taken.append(time.monotonic() - due)
        assert answer.status in statuses, (path, answer.status)

    await asyncio.gather(
        ask(path, trouble.rate, 0.0, trouble.statuses, []), ask("/well/page", 200, 0.1, frozenset({200}), taken)
    )
    spans = json.loads((await client.ask("GET", "/spans")).body)
    assert len(spans) == len(taken)
    return p99(taken), p99(spans)


def p99(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


def test_s9_a_place_is_free_for_others(tmp_path: Path) -> None:
    """A service that hangs fills its places and its queue and nothing else: what is beyond is 503, others get 200."""
    (sick, sick_url), (well, well_url) = service(tmp_path), service(tmp_path)
    limits = {"HYDRA_MAX_CONCURRENT": str(PLACES), "HYDRA_MAX_QUEUE": str(QUEUE)}
    gateway = Gateway(tmp_path, ("sick", sick_url), ("well", well_url), **limits)
    with all_of(sick, well, gateway):
        gateway.wait_for("sick", "well")
        before = gateway.gauge
        asyncio.run(fill(gateway, sick.port))
        gateway.calm(before, files=PLACES + QUEUE)


async def fill(gateway: Gateway, behind: int | None) -> None:
    """Ask for more than there is room for, and look at who has what meanwhile."""
    client = HttpClient("127.0.0.1", gateway.serves)
    hanging = [asyncio.create_task(client.ask("GET", "/sick/nap?4")) for _ in range(PLACES)]
    await asyncio.to_thread(wait_until, lambda: opened(behind).naps == PLACES, "all places are taken")
    beyond = [asyncio.create_task(client.ask("GET", "/sick/nap?4")) for _ in range(3 * QUEUE)]
    began = time.monotonic()
    done, waiting = await asyncio.wait(beyond, timeout=0.5)
    gauge = await asyncio.to_thread(lambda: gateway.gauge)
    if time.monotonic() - began < 0.9:  # those in the queue are sent away after a second
        assert len(done) == 2 * QUEUE, "whoever finds the queue full is told so at once"
        assert gauge.waiting == {"sick": QUEUE, "well": 0}
    assert gauge.places == {"sick": PLACES, "well": 0}
    pages = await asyncio.gather(*(client.ask("GET", "/well/page") for _ in range(2 * PLACES)))
    # As many as its own places at once, and the others as soon as one of them is free: nobody is sent away for long.
    assert {page.status for page in pages} <= {200, 503}
    assert sum(page.status == 200 for page in pages) >= PLACES + QUEUE
    one_by_one = [await client.ask("GET", "/well/page") for _ in range(50)]
    assert {page.status for page in one_by_one} == {200}
    refused = await asyncio.gather(*done, *waiting)
    assert {answer.status for answer in refused} == {503}
    assert all("retry-after" in answer.head for answer in refused)
    assert opened(behind).naps == PLACES, "nobody who was sent away has reached the service"
    assert {answer.status for answer in await asyncio.gather(*hanging)} == {200}
    client.close()
