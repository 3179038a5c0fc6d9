"""What a node learns about instances, and whom it asks first."""

import asyncio
import contextlib
import logging
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.events import EjectionRecord
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.instance_health import GATEWAY_ERRORS, InstanceHealth
from hydra_asgi.ports import UpstreamRequest
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream
from tests.doubles.hand_clock import HandClock


def instance(number: int, **parts: Any) -> ServiceInstance:
    address = Address("http", f"10.0.0.{number}", 8002)
    return ServiceInstance("orders", address, token=1_000_000_000 + number, order=number, **parts)


ONE, TWO, THREE = (instance(number) for number in (1, 2, 3))


class Learning:
    """A health with a clock that stands still, and what it logged."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.lines: list[str] = []
        log = logging.getLogger(f"tests.health.{id(self)}")
        log.setLevel(logging.INFO)
        log.addFilter(lambda record: bool(self.lines.append(record.getMessage())))
        self.health = InstanceHealth(clock=self.clock, log=log)

    async def send(self, who: ServiceInstance, outcome: Any, **options: Any) -> None:
        request = UpstreamRequest(who.address, "GET", b"/", [])
        with contextlib.suppress(UpstreamError):
            await self.health.send(FakeUpstream(outcome), who, request, **options)

    async def fail(self, who: ServiceInstance, kind: ErrorKind = ErrorKind.RESET, times: int = 3) -> None:
        for _ in range(times):
            await self.send(who, UpstreamError(kind))

    def order(self, group: Group, key: str = "") -> list[ServiceInstance]:
        return list(self.health.order(group, key))


def keys_of(group: Group, first: ServiceInstance, count: int = 20) -> list[str]:
    """Keys whose first instance is the given one."""
    keys = (str(number) for number in range(1000))
    return [key for key in keys if group.pick(key) is first][:count]


async def test_healthy_instances_keep_their_keys() -> None:
    """While nothing is wrong the order is the group's own."""
    learning, group = Learning(), Group.build([ONE, TWO, THREE])
    for key in map(str, range(50)):
        assert learning.order(group, key) == list(group.order(key))
        assert list(learning.health.order(group, key, group.pick(key))) == list(group.order(key))
    assert learning.order(Group.build([])) == []


async def test_an_ejected_instance_comes_last_and_the_others_keep_their_keys() -> None:
    """Only the keys of the instance that failed move, each to its next one; later they come back."""
    learning, group = Learning(), Group.build([ONE, TWO, THREE])
    before = {key: group.pick(key) for key in map(str, range(50))}
    await learning.fail(TWO)
    for key, was in before.items():
        order = learning.order(group, key)
        own = list(group.order(key))
        own.remove(TWO)
        assert order[-1] is TWO or was is not TWO
        assert order[0] is own[0]
    learning.clock.time = 1.0
    assert {key: next(learning.health.order(group, key)) for key in before} == before


async def test_retries_prefer_the_well() -> None:
    """After a first choice that was well, those in trouble are still the last."""
    learning, group = Learning(), Group.build([ONE, TWO, THREE])
    await learning.fail(TWO)
    for key in keys_of(group, ONE):
        assert learning.order(group, key) == [ONE, THREE, TWO]


async def test_a_lone_instance_is_always_asked() -> None:
    """What is addressed by its token has nobody in its place."""
    learning = Learning()
    await learning.fail(ONE)
    assert learning.order(Group.build([ONE])) == [ONE]


async def test_too_many_in_trouble_are_all_used() -> None:
    """When two of three fail, the third does not get everything; of those that are gone it does."""
    learning, group = Learning(), Group.build([ONE, TWO, THREE])
    await learning.fail(ONE)
    await learning.fail(TWO)
    assert {next(learning.health.order(group, key)) for key in map(str, range(50))} == {ONE, TWO, THREE}
    learning = Learning()
    await learning.fail(ONE, ErrorKind.CONNECT_REFUSED)
    await learning.fail(TWO, ErrorKind.CONNECT_REFUSED)
    assert {next(learning.health.order(group, key)) for key in map(str, range(50))} == {THREE}


@pytest.mark.parametrize(
    "kind", [ErrorKind.CLIENT_GONE, ErrorKind.CLIENT_SLOW, ErrorKind.OVERLOADED, ErrorKind.LOOP, ErrorKind.NO_INSTANCE]
)
async def test_what_others_do_wrong_is_not_held_against_an_instance(kind: ErrorKind) -> None:
    """A client that leaves an upload, or a limit of ours, ejects nobody."""
    learning, group = Learning(), Group.build([ONE, TWO])
    await learning.fail(ONE, kind, times=30)
    for _ in range(30):
        learning.health.broke_off(ONE, kind)
    assert learning.order(group, keys_of(group, ONE)[0])[0] is ONE
    assert learning.lines == []


@pytest.mark.parametrize(("status", "is_bad"), [(500, True), (503, True), (501, False), (404, False), (200, False)])
async def test_server_errors_count(status: int, is_bad: bool) -> None:
    """An instance that answers with server errors is ejected; what the client asked wrong does not count."""
    learning, group = Learning(), Group.build([ONE, TWO])
    for _ in range(20):
        await learning.send(ONE, FakeResponse(status))
    assert (learning.order(group, keys_of(group, ONE)[0])[0] is TWO) == is_bad


async def test_a_peer_may_mean_something_else_by_a_status() -> None:
    """Which statuses speak against an instance is said with the request."""
    learning, group = Learning(), Group.build([ONE, TWO])
    for _ in range(20):
        await learning.send(ONE, FakeResponse(500), errors=GATEWAY_ERRORS)
    assert learning.order(group, keys_of(group, ONE)[0])[0] is ONE


async def test_responses_that_break_off_count() -> None:
    """They are told of after the head was taken for good."""
    learning, group = Learning(), Group.build([ONE, TWO])
    for _ in range(11):
        await learning.send(ONE, FakeResponse())
        learning.health.broke_off(ONE, ErrorKind.TRUNCATED)
    assert learning.order(group, keys_of(group, ONE)[0])[0] is TWO
    assert "last=truncated" in learning.lines[0]


@pytest.mark.parametrize(("waited", "is_bad"), [(1.9, False), (2.0, True)])
async def test_being_left_in_good_time_is_no_failure(waited: float, is_bad: bool) -> None:
    """Who is cancelled before its patience is over says nothing; after it the instance was too slow."""
    learning, group = Learning(), Group.build([ONE, TWO])

    async def hang(request: UpstreamRequest) -> FakeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    sends = [asyncio.create_task(learning.send(ONE, hang, patience=2.0)) for _ in range(3)]
    await asyncio.sleep(0)
    learning.clock.time = waited
    for send in sends:
        send.cancel()
    await asyncio.gather(*sends, return_exceptions=True)
    assert (learning.order(group, keys_of(group, ONE)[0])[0] is TWO) == is_bad


async def test_a_broken_upstream_is_not_the_instance() -> None:
    """What an upstream should never raise is passed on, and counts for nothing."""
    learning = Learning()

    def broken(request: UpstreamRequest) -> FakeResponse:
        raise ValueError("a mistake of ours")

    for _ in range(3):
        with pytest.raises(ValueError, match="mistake"):
            await learning.send(ONE, broken)
    assert learning.lines == []


async def test_a_trial_needs_somebody_who_is_well() -> None:
    """Asking an ejected instance is a trial only where another one may be asked afterwards."""
    learning, both = Learning(), Group.build([ONE, TWO])
    assert not learning.health.is_trial(both, ONE)
    await learning.fail(ONE)
    assert learning.health.is_trial(both, ONE)
    assert not learning.health.is_trial(both, TWO)
    assert not learning.health.is_trial(Group.build([ONE]), ONE)
    await learning.fail(TWO)
    assert not learning.health.is_trial(both, ONE)


async def test_operators_are_told() -> None:
    """One line when an instance is ejected, one when it is back, with what happened last."""
    learning = Learning()
    await learning.fail(ONE, ErrorKind.CONNECT_REFUSED, times=10)
    learning.clock.time = 1.0
    await learning.send(ONE, FakeResponse())
    await learning.send(ONE, FakeResponse())
    assert learning.lines == [
        "instance ejected: service=orders instance=10.0.0.1:8002 seconds=1 last=connect-refused",
        "instance is back: service=orders instance=10.0.0.1:8002 last=status 200",
    ]


async def test_retries_are_counted_for_each_service() -> None:
    """The budget starts with a few, gets a fifth per request, and is each service's own."""
    health = Learning().health
    assert [health.may_retry("orders") for _ in range(7)] == [True] * 6 + [False]
    for _ in range(5):
        health.count_request("orders")
    assert health.may_retry("orders")
    assert not health.may_retry("orders")
    assert health.may_retry("shop")


async def test_whoever_wants_to_know_is_told() -> None:
    """An ejection is told with its length and its reason, and the return with none."""
    told: list[Any] = []
    clock = HandClock()
    health = InstanceHealth(clock=clock, log=logging.getLogger("tests.health.told"), on_change=told.append)
    request = UpstreamRequest(ONE.address, "GET", b"/", [])
    for _ in range(3):
        with contextlib.suppress(UpstreamError):
            await health.send(FakeUpstream(UpstreamError(ErrorKind.RESET)), ONE, request)
    clock.time += 2
    await health.send(FakeUpstream(FakeResponse(200)), ONE, request)
    assert told == [
        EjectionRecord("orders", 0, "10.0.0.1:8002", 1.0, "reset"),
        EjectionRecord("orders", 0, "10.0.0.1:8002", 0.0, "status 200"),
    ]
