"""Instances that do not register themselves."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.errors import StoreError, UpstreamError
from hydra_asgi.gateway import static_instances
from hydra_asgi.gateway.static_instances import BEAT_SECONDS, RESOLVE_SECONDS, StaticInstances
from hydra_asgi.testing import FakeResponse, FakeUpstream
from tests.doubles.hand_clock import HandClock
from tests.doubles.prober import FakeProber


@dataclass(frozen=True)
class Tended:
    instance: ServiceInstance
    health: str = ""


def tended(host: str = "box", health: str = "", **options: Any) -> Tended:
    return Tended(ServiceInstance("legacy", Address("http", host, 8080, "/php"), **options), health)


class Rig:
    """Static instances before a memory store, on one clock."""

    def __init__(self, *instances: Tended, upstream: FakeUpstream | None = None, store: Any = None) -> None:
        self.clock = HandClock()
        self.store = MemoryStore(self.clock) if store is None else store
        self.upstream = upstream or FakeUpstream(FakeResponse())
        self.prober = FakeProber({"box": ["10.0.0.9"]})
        self.expected: list[list[str]] = []
        self.statics = StaticInstances(
            self.store,
            self.upstream,
            self.prober,
            instances,
            on_change=lambda kept: self.expected.append([one.address.host for one in kept]),
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    async def listed(self) -> Sequence[ServiceInstance]:
        return (await self.store.snapshot()).instances

    async def pass_time(self, seconds: float) -> None:
        """Beats go on meanwhile."""
        while seconds > 0:
            self.clock.time += min(0.8, seconds)
            seconds -= 0.8
            await self.store.revision()


async def test_an_instance_without_a_check_is_kept() -> None:
    """What the operator names is listed and stays; the address is pinned to what its name leads to."""
    rig = Rig(tended())
    await rig.statics.tend()
    for _ in range(10):
        await rig.pass_time(BEAT_SECONDS)
        await rig.statics.tend()
    (listed,) = await rig.listed()
    assert listed.active
    assert (listed.service, listed.address.host, listed.address.pinned) == ("legacy", "box", "10.0.0.9")
    assert not rig.upstream.requests


async def test_it_beats_in_time() -> None:
    """The loop tends to every instance each 3 seconds."""
    rig = Rig(tended())
    running = asyncio.create_task(rig.statics.run())
    await rig.clock.settle()
    assert not await rig.listed()
    await rig.clock.tick()
    assert rig.clock.naps == [BEAT_SECONDS, BEAT_SECONDS]
    assert len(await rig.listed()) == 1
    running.cancel()


async def test_a_health_check_is_a_get_below_the_base() -> None:
    """The path is asked for at the pinned address, below the base path; the response is closed unread."""
    rig = Rig(tended(health="/ping"))
    await rig.statics.tend()
    (request,) = rig.upstream.requests
    assert (request.method, request.target, request.address.pinned) == ("GET", b"/php/ping", "10.0.0.9")
    assert request.headers[0] == (b"host", b"box:8080")
    assert not rig.upstream.open_responses
    assert len(await rig.listed()) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (FakeResponse(500), "/ping answered 500"),
        (FakeResponse(404), "/ping answered 404"),
        (UpstreamError(ErrorKind.CONNECT_REFUSED, "nobody listens"), "/ping: connect-refused: nobody listens"),
    ],
)
async def test_an_ill_instance_falls_silent(answer: Any, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """An instance whose check fails gets no beats, so it is inactive, then forgotten; when it is well it is back.

    The log names the reason once, and the recovery.
    """
    caplog.set_level(logging.INFO, "hydra_asgi.static")
    rig = Rig(
        tended(health="/ping"), upstream=FakeUpstream(FakeResponse(302), answer, answer, answer, FakeResponse(204))
    )
    await rig.statics.tend()
    assert [one.active for one in await rig.listed()] == [True]
    await rig.pass_time(6)
    await rig.statics.tend()
    assert [one.active for one in await rig.listed()] == [False]
    await rig.pass_time(6)
    await rig.statics.tend()
    assert not await rig.listed()
    await rig.statics.tend()
    await rig.statics.tend()
    assert [one.active for one in await rig.listed()] == [True]
    assert [record.getMessage() for record in caplog.records] == [
        f"static instance of legacy at http://box:8080/php gets no beats: {why}",
        "static instance of legacy at http://box:8080/php is well again",
    ]


async def test_a_check_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check has an end of its own, and does not hold up the other instances."""
    monkeypatch.setattr(static_instances, "CHECK_SECONDS", 0.01)

    async def hang(request: Any) -> FakeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    rig = Rig(tended(health="/ping"), tended("other"), upstream=FakeUpstream(hang))
    await rig.statics.tend()
    assert [one.address.host for one in await rig.listed()] == ["other"]


async def test_names_are_resolved_again() -> None:
    """A name that leads elsewhere moves the instance within 30 s; one that leads there too, or nowhere, does not."""
    rig = Rig(tended())
    await rig.statics.tend()
    rig.prober.names["box"] = ["10.0.0.10", "10.0.0.9"]
    for names, pinned, seconds in (
        (["10.0.0.10", "10.0.0.9"], "10.0.0.9", RESOLVE_SECONDS),
        ([], "10.0.0.9", RESOLVE_SECONDS),
        (["10.0.0.11"], "10.0.0.11", 1.0),  # at once: the last look-up failed
        (["10.0.0.12"], "10.0.0.11", RESOLVE_SECONDS - 1),
        (["10.0.0.12"], "10.0.0.12", 1.0),
    ):
        rig.prober.names["box"] = names
        rig.clock.time += seconds
        await rig.statics.tend()
        assert [one.address.pinned for one in await rig.listed()] == [pinned]


async def test_a_name_that_never_resolved(caplog: pytest.LogCaptureFixture) -> None:
    """Such an instance is not listed, and the log says so once."""
    rig = Rig(tended())
    rig.prober.names["box"] = []
    await rig.statics.tend()
    await rig.statics.tend()
    assert not await rig.listed()
    assert [record.getMessage().split(": ")[-1] for record in caplog.records] == ["the host 'box' does not resolve"]


async def test_swap() -> None:
    """With a new list, who stays keeps token and place, who changed is announced anew, who is gone leaves at once."""
    rig = Rig(tended("a"), tended("b"), tended("c"))
    await rig.statics.tend()
    before = {one.address.host: one for one in await rig.listed()}
    counter = (await rig.store.revision()).counter
    await rig.statics.swap([tended("a"), tended("b"), tended("c")])
    assert (await rig.store.revision()).counter == counter
    await rig.statics.swap([tended("d"), tended("b", weight=3.0), tended("a")])
    after = {one.address.host: one for one in await rig.listed()}
    assert sorted(after) == ["a", "b", "d"]
    assert after["a"] == before["a"]
    assert (after["b"].token, after["b"].weight) == (before["b"].token, 3.0)
    assert rig.expected == [["a", "b", "c"], ["a", "b", "c"], ["d", "b", "a"]]


async def test_leaving() -> None:
    """Their leases end with the gateway; leaving twice is leaving once."""
    rig = Rig(tended())
    await rig.statics.tend()
    await rig.statics.leave()
    assert not await rig.listed()
    await rig.statics.leave()


class BrokenStore(MemoryStore):
    """Fails as it is told."""

    error: Exception | None = None
    hangs = False

    async def register(self, instance: Any, lease: Any) -> Any:
        await self._fail()
        return await super().register(instance, lease)

    async def release(self, lease_id: str, service: str, *, counter: int = 0) -> bool:
        await self._fail()
        return await super().release(lease_id, service, counter=counter)

    async def _fail(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [StoreError("away"), RuntimeError("a bug")])
async def test_a_store_that_fails(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """Trouble with the store is logged and tried again with the next beat."""
    store = BrokenStore()
    rig = Rig(tended(), store=store)
    store.error = error
    await rig.statics.tend()
    assert len(caplog.records) == 1
    store.error = None
    await rig.statics.tend()
    assert len(await rig.listed()) == 1
    store.error = StoreError("away")
    await rig.statics.leave()


async def test_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A store that does not answer holds up neither beats nor the goodbye for long."""
    monkeypatch.setattr(static_instances, "STORE_SECONDS", 0.01)
    monkeypatch.setattr(static_instances, "LEAVE_SECONDS", 0.01)
    store = BrokenStore()
    rig = Rig(tended(), store=store)
    store.hangs = True
    await rig.statics.tend()
    assert "the store did not answer within 0.01 s" in caplog.text
    store.hangs = False
    await rig.statics.tend()
    store.hangs = True
    await rig.statics.leave()
