"""The registration desk."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hydra_asgi.core.admission.signature import lease_nonce, sign
from hydra_asgi.core.events import RegistrationRecord
from hydra_asgi.core.instance import Address, Dialect, MenuItem, Route, ServiceInstance
from hydra_asgi.ports import LeaseState
from hydra_asgi.wire.announcement import registration_json
from hydra_asgi.wire.answer import parse_answer, parse_beat
from hydra_asgi.wire.drain import Drain, drain_json
from tests.doubles.gateway import EPOCH, Gateway, MoodyStore
from tests.doubles.medusa import Medusa
from tests.exchange import Exchange, exchange, http_scope

RECORDINGS = Path(__file__).parent.parent / "recordings" / "medusa-0.9.5"
LEASE = "lease-of-24-characters-0"
SECRET = "the secret of the cluster"


def java(**changes: Any) -> dict[str, Any]:
    body = (RECORDINGS / "registration.request.http").read_bytes().partition(b"\r\n\r\n")[2]
    return {**json.loads(body), **changes}


def instance(**changes: Any) -> ServiceInstance:
    options: dict[str, Any] = {"routes": (Route("/orders"),), "menu_items": (MenuItem("main", "/orders", "Orders"),)}
    return ServiceInstance("orders", Address("http", "127.0.0.1", 8002), **{**options, **changes})


class Node:
    """One of our own nodes: signs each call and counts."""

    def __init__(self, gateway: Gateway, *, lease: str = LEASE, secret: str = SECRET) -> None:
        self.gateway = gateway
        self.lease = lease
        self.secret = secret
        self.count = 0

    async def __call__(
        self, call: str, body: bytes, *, method: str = "POST", revision: str = "", **options: Any
    ) -> Exchange:
        self.count += 1
        nonce = lease_nonce(self.lease, self.count)
        path = f"/h/discovery/k/{call}"
        now = EPOCH + self.gateway.time
        signature = sign(self.secret, method=method, path=path, body=body, time=now, nonce=nonce)
        headers = [(b"hydra-instance", self.lease.encode()), (b"hydra-signature", signature.encode())]
        headers.append((b"hydra-revision", revision.encode()))
        return await self.gateway.call(call, body, method=method, headers=headers, **options)

    async def register(self, the: ServiceInstance | None = None, **options: Any) -> Exchange:
        return await self("registration", registration_json(the or instance(), self.lease), **options)


async def listed(gateway: Gateway) -> tuple[ServiceInstance, ...]:
    return (await gateway.store.snapshot()).instances


def reason(answer: Exchange) -> str:
    return str(json.loads(answer.body)["reason"])


async def test_the_gateway_does_not_list_itself() -> None:
    """An address at which this very call came in would be a loop; a server that does not say where is believed."""
    gateway = Gateway()
    itself = registration_json(replace(instance(), address=Address("http", "127.0.0.1", 8000)), LEASE)
    refused = await gateway.call("registration", itself)
    assert refused.status == 403
    assert "itself" in reason(refused)
    headers = [(b"content-type", b"application/json")]
    scope = http_scope("/h/discovery/k/registration", method="POST", headers=headers) | {"server": None}
    assert (await exchange(gateway, scope, itself)).status == 200


async def test_a_medusa_joins() -> None:
    """An unmodified Medusa registers, beats and stays."""
    gateway = Gateway()
    medusa = Medusa(gateway, "k", java())
    medusa.ready()
    await medusa.second()
    assert medusa.state == "REGISTERED"
    for _ in range(5):
        gateway.time += 3
        await medusa.three_seconds()
    assert medusa.statuses == [200] * 6
    (the,) = await listed(gateway)
    assert (the.service, the.dialect, str(the.address)) == ("one", Dialect.MEDUSA, "http://127.0.0.1:8881")
    assert the.address.pinned == "127.0.0.1"


async def test_a_gateway_that_forgot_says_so() -> None:
    """A beat for a name nobody registered is 410, so that the Medusa registers again within a second."""
    medusa = Medusa(Gateway(), "k", java())
    medusa.state = "REGISTERED"
    await medusa.three_seconds()
    assert (medusa.state, medusa.statuses) == ("NOT_REGISTERED", [410])
    await medusa.second()
    assert medusa.state == "REGISTERED"


@pytest.mark.parametrize("body", [b'"one"', b"", b"ghost", b"\xff", b"a:b", b"one\n", b" one"])
async def test_beats_of_nobody(body: bytes) -> None:
    """Only the exact name of a live registration is answered 200."""
    gateway = Gateway()
    await gateway.call("registration", json.dumps(java()).encode())
    assert (await gateway.call("alive", b"one", content_type=b"text/plain")).status == 200
    assert (await gateway.call("alive", body, content_type=b"text/plain")).status == 410


async def test_a_beat_after_the_lease_ran_out() -> None:
    """A lease that was silent too long is unknown."""
    gateway = Gateway()
    await gateway.call("registration", json.dumps(java()).encode())
    for gateway.time in range(1, 12):
        await listed(gateway)
    assert (await gateway.call("alive", b"one")).status == 410


async def test_two_medusas_at_one_address() -> None:
    """A beat that fits two instances renews neither: both are asked to register again, which names them."""
    gateway = Gateway()
    both = [Medusa(gateway, "k", java(port=port)) for port in (8881, 8882)]
    for medusa in both:
        medusa.ready()
        await medusa.second()
        await medusa.three_seconds()
    assert both[0].statuses == [200, 200]
    assert both[1].statuses == [200, 410]
    assert len(await listed(gateway)) == 2


async def test_beats_are_attributed_by_address() -> None:
    """The same name from another address is another instance, and unknown."""
    gateway = Gateway()
    await gateway.call("registration", json.dumps(java()).encode())
    assert (await gateway.call("alive", b"one", ip="127.0.0.2")).status == 410


async def test_changed_content_replaces() -> None:
    """A second registration of the same address replaces what was listed."""
    gateway = Gateway()
    await gateway.call("registration", json.dumps(java()).encode())
    await gateway.call("registration", json.dumps(java(endpoints=["/new"])).encode())
    (the,) = await listed(gateway)
    assert the.routes == (Route("/new"),)


async def test_our_node_joins() -> None:
    """A signed registration is listed, and answered with the token and the overview."""
    gateway = Gateway(accept_unsigned=[])
    answer = await Node(gateway).register()
    assert answer.status == 200
    (the,) = await listed(gateway)
    assert parse_answer(answer.body).token == the.token
    assert parse_answer(answer.body).overview == gateway.overview
    (lease,) = await gateway.store.leases_of("orders", "127.0.0.1")
    assert (lease.id, lease.signed) == (LEASE, True)


async def test_beats_bring_news() -> None:
    """A beat is answered with the overview when the node's is another, else with `true`."""
    gateway = Gateway(accept_unsigned=[])
    node = Node(gateway)
    await node.register()
    overview = await gateway.refresh()
    assert parse_beat((await node("alive", b"orders", revision="e.0")).body).overview == overview
    assert (await node("alive", b"orders", revision=overview.revision)).body == b"true"


async def test_a_beat_for_another_service() -> None:
    """A lease belongs to its service."""
    gateway = Gateway()
    node = Node(gateway)
    await node.register()
    assert (await node("alive", b"shop")).status == 410


async def test_leaving() -> None:
    """A node that leaves is gone at once, and its next beat is unknown."""
    gateway = Gateway()
    node = Node(gateway)
    await node.register()
    assert (await node("registration", b"orders", method="DELETE")).status == 200
    assert await listed(gateway) == ()
    assert (await node("registration", b"orders", method="DELETE")).status == 410
    assert (await node("alive", b"orders")).status == 410


@pytest.mark.parametrize(("body", "headers"), [(b"orders", []), (b"a b", [(b"hydra-instance", LEASE.encode())])])
async def test_leaving_needs_both_names(body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Who leaves names the service and the lease."""
    assert (await Gateway().call("registration", body, method="DELETE", headers=headers)).status == 400


async def test_draining() -> None:
    """A node can take itself out of the choice for new users, and come back."""
    gateway = Gateway()
    node = Node(gateway)
    await node.register()
    (the,) = await listed(gateway)
    for draining, weight in ((True, 0), (False, 10)):
        answer = await node("drain", drain_json(Drain("orders", the.token, draining)))
        assert answer.status == 200
        assert (await listed(gateway))[0].weight == weight


async def test_draining_somebody_else() -> None:
    """A token of another service, or of nobody, is not drained; without a lease nothing is."""
    gateway = Gateway()
    node = Node(gateway)
    await node.register()
    await gateway.call("registration", json.dumps(java()).encode())
    (other,) = [one for one in await listed(gateway) if one.service == "one"]
    assert (await node("drain", drain_json(Drain("orders", other.token)))).status == 410
    assert (await node("drain", drain_json(Drain("orders", 1)))).status == 410
    assert (await node("drain", drain_json(Drain("one", other.token)))).status == 410
    assert (await gateway.call("drain", drain_json(Drain("one", other.token)))).status == 400
    assert all(one.weight > 0 for one in await listed(gateway))


async def test_unsigned_nodes() -> None:
    """A node of ours may be unsigned where that is accepted; then its calls must come from its own address."""
    gateway = Gateway()
    headers = [(b"hydra-instance", LEASE.encode())]
    await gateway.call("registration", registration_json(instance(), LEASE), headers=headers)
    assert (await gateway.call("alive", b"orders", headers=headers)).status == 200
    assert (await gateway.call("alive", b"orders", headers=headers, ip="127.0.0.2")).status == 410
    assert (await gateway.call("registration", b"orders", headers=headers, method="DELETE")).status == 200


@pytest.mark.parametrize(("call", "method"), [("alive", "POST"), ("registration", "DELETE")])
async def test_unsigned_calls_for_signed_leases(call: str, method: str) -> None:
    """An unsigned call neither renews nor ends a signed lease."""
    gateway = Gateway()
    await Node(gateway).register()
    answer = await gateway.call(call, b"orders", method=method, headers=[(b"hydra-instance", LEASE.encode())])
    assert answer.status == 403
    assert len(await listed(gateway)) == 1


async def test_unsigned_registration_over_a_signed_one() -> None:
    """An unsigned registration never replaces an instance that is held by a signed lease."""
    gateway = Gateway()
    await Node(gateway).register()
    body = registration_json(instance(routes=(Route("/evil"),)), "another-lease-of-its-own")
    assert (await gateway.call("registration", body)).status == 403
    assert (await listed(gateway))[0].routes == (Route("/orders"),)


async def test_the_lease_has_one_name() -> None:
    """The header and the body name the same lease; a Java body has none to name."""
    gateway = Gateway()
    headers = [(b"hydra-instance", b"another-lease-of-its-own")]
    assert (await gateway.call("registration", registration_json(instance(), LEASE), headers=headers)).status == 422
    assert (await gateway.call("registration", json.dumps(java()).encode(), headers=headers)).status == 422
    assert await listed(gateway) == ()


@pytest.mark.parametrize("secret", ["another secret", ""])
async def test_wrong_secret(secret: str) -> None:
    """A call signed with another secret stores nothing, though unsigned ones are accepted."""
    gateway = Gateway()
    answer = await Node(gateway, secret=secret).register()
    assert answer.status == 401
    assert answer.header(b"hydra-time") == b"%d" % EPOCH
    assert await listed(gateway) == ()


async def test_replays() -> None:
    """A recorded beat cannot be sent again."""
    gateway = Gateway()
    node = Node(gateway)
    await node.register()
    await node("alive", b"orders")
    node.count -= 1
    assert (await node("alive", b"orders")).status == 401


async def test_unsigned_is_off_by_default() -> None:
    """Without `accept_unsigned` a Medusa is refused, and its log says what to set."""
    answer = await Gateway(accept_unsigned=[]).call("registration", json.dumps(java()).encode())
    assert answer.status == 401
    assert "accept_unsigned" in reason(answer)


@pytest.mark.parametrize(
    "change", [{"endpoints": None}, {"name": "a:b"}, {"port": 6379}, {"host": "169.254.169.254"}, {"host": "10.9.9.9"}]
)
async def test_nothing_of_a_refused_call_is_kept(change: dict[str, Any]) -> None:
    """A bad registration disturbs nobody: the directory does not move."""
    gateway = Gateway()
    before = await gateway.store.revision()
    assert 400 <= (await gateway.call("registration", json.dumps(java(**change)).encode())).status < 500
    assert await gateway.store.revision() == before


async def test_unreachable_services_are_told_why() -> None:
    """A service the gateway cannot connect back to is not listed."""
    gateway = Gateway()
    gateway.prober.reasons["127.0.0.1", 8881] = "connection refused"
    answer = await gateway.call("registration", json.dumps(java()).encode())
    assert answer.status == 424
    assert "http://127.0.0.1:8881" in reason(answer)
    assert "connection refused" in reason(answer)


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [([], b"text/plain"), ([], b""), ([(b"content-encoding", b"gzip")], b"application/json")],
)
async def test_only_plain_json(headers: list[tuple[bytes, bytes]], content_type: bytes) -> None:
    """A body of another type, or a compressed one, is not read."""
    for call in ("registration", "drain"):
        assert (await Gateway().call(call, b"{}", headers=headers, content_type=content_type)).status == 415


async def test_names_that_differ_by_case() -> None:
    """A name that differs only by case from a known one is refused, whether the overview has it already or not."""
    gateway = Gateway()
    assert (await gateway.call("registration", json.dumps(java()).encode())).status == 200
    other = json.dumps(java(name="ONE", port=8882)).encode()
    answer = await gateway.call("registration", other)
    assert answer.status == 409
    assert "'one'" in reason(answer)
    await gateway.refresh()
    gateway.time = 1000
    assert (await gateway.call("registration", other)).status == 409
    gateway.overview = type(gateway.overview)("e.9")
    assert (await gateway.call("registration", other)).status == 200


async def test_service_limits() -> None:
    """A limited service publishes under its prefixes only, by whole segments; others are free."""
    gateway = Gateway(service_limits={"one": ["/one", "/uno/"]})
    good = java(endpoints=["/one", "/one/x", "/uno/{id}"])
    assert (await gateway.call("registration", json.dumps(good).encode())).status == 200
    for endpoint in ("/onerous", "/", "/{x}", "/**"):
        answer = await gateway.call("registration", json.dumps(java(endpoints=[endpoint])).encode())
        assert answer.status == 403
        assert "/one, /uno/" in reason(answer)
    free = java(name="two", port=8882, endpoints=["/anything"])
    assert (await gateway.call("registration", json.dumps(free).encode())).status == 200


async def test_a_loop_that_went_wild() -> None:
    """Beats beyond ten a second are 429; after a pause the instance is heard again, and others always were."""
    gateway = Gateway()
    node = Node(gateway)
    await node.register()
    statuses = [(await node("alive", b"orders")).status for _ in range(25)]
    assert statuses == [200] * 20 + [429] * 5
    await gateway.call("registration", json.dumps(java()).encode())
    assert (await gateway.call("alive", b"one")).status == 200
    gateway.time += 0.1
    assert (await node("alive", b"orders")).status == 200
    assert (await node("alive", b"orders")).status == 429


async def test_the_store_is_away() -> None:
    """Who beats is told that all is well while the store is away, our own node that it may be otherwise elsewhere."""
    gateway = Gateway()
    medusa = Medusa(gateway, "k", java())
    medusa.ready()
    await medusa.second()
    node = Node(gateway)
    await node.register()
    gateway.store.is_away = True
    for gateway.time in range(3, 90, 3):
        await medusa.three_seconds()
        answer = await node("alive", b"orders")
        assert (answer.status, parse_beat(answer.body).is_stale) == (200, True)
    assert set(medusa.statuses) == {200}
    assert (await gateway.call("alive", b"two")).status == 503
    assert (await gateway.call("alive", b"one", ip="127.0.0.2")).status == 503
    for answer in (
        await Node(gateway, lease="another-lease")("alive", b"orders"),
        await node("registration", b"orders", method="DELETE"),
        await node.register(),
        await gateway.call("registration", json.dumps(java()).encode()),
    ):
        assert answer.status == 503
        assert answer.header(b"retry-after") == b"1"
        assert "store" not in answer.body.decode()


async def test_a_medusa_that_was_silent_while_the_store_is_away() -> None:
    """A lease that was not heard of for a minute is not vouched for."""
    gateway = Gateway()
    await gateway.call("registration", json.dumps(java()).encode())
    gateway.store.is_away = True
    gateway.time = 61
    assert (await gateway.call("alive", b"one")).status == 503


async def test_a_forgotten_medusa_is_not_vouched_for() -> None:
    """Once the store has said that a lease is unknown, its going away does not bring the lease back."""
    gateway = Gateway()
    await gateway.call("registration", json.dumps(java()).encode())
    await gateway.store.release("medusa:http://127.0.0.1:8881", "one")
    assert (await gateway.call("alive", b"one")).status == 410
    gateway.store.is_away = True
    assert (await gateway.call("alive", b"one")).status == 503


async def test_the_store_hangs() -> None:
    """A store that does not answer costs a caller less than half a second, and those who beat nothing."""
    gateway = Gateway()
    await gateway.call("registration", json.dumps(java()).encode())
    node = Node(gateway)
    await node.register()
    gateway.store.hangs = True
    assert (await gateway.call("alive", b"one")).status == 200
    assert (await node("alive", b"orders")).status == 200
    assert (await node.register()).status == 503
    assert (await Node(gateway, lease="another-lease")("alive", b"orders")).status == 503


async def test_a_slow_store_has_one_time_for_all_that_a_call_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three questions that are each answered in time may not take three times as long as one."""
    gateway = Gateway()
    node = Node(gateway)
    token = parse_answer((await node.register()).body).token
    asked: list[str] = []

    def slow(name: str) -> None:
        verb = getattr(gateway.store, name)

        async def late(*arguments: Any, **more: Any) -> Any:
            asked.append(name)
            await asyncio.sleep(0.015)
            return await verb(*arguments, **more)

        monkeypatch.setattr(gateway.store, name, late)

    for name in ("renew", "snapshot", "drain"):
        slow(name)
    answer = await node("drain", drain_json(Drain("orders", token, True)))
    assert answer.status == 503
    assert "drain" not in asked


async def test_after_the_store_is_back_a_lost_lease_is_told() -> None:
    """The store's word counts as soon as there is one, and what it does not know is not vouched for again."""
    gateway = Gateway()
    node = Node(gateway)
    await node.register()
    gateway.store.is_away = True
    assert (await node("alive", b"orders")).status == 200
    await MoodyStore.release(gateway.store.beside(), LEASE, "orders")
    gateway.store.is_away = False
    assert (await node("alive", b"orders")).status == 410
    gateway.store.is_away = True
    assert (await node("alive", b"orders")).status == 503


async def test_a_gateway_that_started_while_the_store_is_away() -> None:
    """Whoever the last known directory lists at the caller's address is told that all is well."""
    listed_ = {("one", "127.0.0.1"), ("orders", "127.0.0.1")}
    gateway = Gateway(is_listed=lambda service, ip: (service, ip) in listed_)
    gateway.store.is_away = True
    assert (await gateway.call("alive", b"one")).status == 200
    assert (await Node(gateway)("alive", b"orders")).status == 200
    assert (await gateway.call("alive", b"one", ip="127.0.0.9")).status == 503
    assert (await gateway.call("alive", b"two")).status == 503


async def test_replays_at_another_gateway() -> None:
    """A call that one gateway has taken is refused by every other, whether it carries a counter or a nonce."""
    one = Gateway()
    other = Gateway(store=one.store)
    node = Node(one)
    body = registration_json(instance(), LEASE)
    signature = sign(SECRET, method="POST", path="/h/discovery/k/registration", body=body, time=EPOCH, nonce="n1")
    headers = [(b"hydra-signature", signature.encode())]
    assert (await one.call("registration", body, headers=headers)).status == 200
    refused = await other.call("registration", body, headers=headers)
    assert (refused.status, reason(refused)) == (401, "this signature was used before; sign each call anew")
    assert (await node("alive", b"orders")).status == 200
    for call, method in (("alive", "POST"), ("registration", "DELETE")):
        replay = Node(other)
        refused = await replay(call, b"orders", method=method)
        assert refused.status == 401
        assert "used before" in reason(refused)
    node.gateway = other
    assert (await node("alive", b"orders")).status == 200
    assert (await node.register()).status == 200


async def test_without_the_store_nothing_without_a_lease_is_taken() -> None:
    """A nonce that cannot be compared with those of other gateways is refused together with its call."""
    gateway = Gateway()
    body = registration_json(instance(), LEASE)
    for number, mood in enumerate(("is_away", "hangs")):
        setattr(gateway.store, mood, True)
        path = "/h/discovery/k/registration"
        signature = sign(SECRET, method="POST", path=path, body=body, time=EPOCH, nonce=f"n{number}")
        headers = [(b"hydra-signature", signature.encode())]
        assert (await gateway.call("registration", body, headers=headers)).status == 503


async def test_what_the_store_does_not_keep_is_told() -> None:
    """Changes that fail are told with the reason, also where the caller does not notice, and those that go well."""
    changes: list[str] = []
    gateway = Gateway(on_change=changes.append)
    node = Node(gateway)
    await node.register()
    assert changes == [""]
    gateway.store.is_away = True
    assert (await node("alive", b"orders")).status == 200
    assert (await node.register()).status == 503
    assert changes == ["", *["the store is away"] * 2]
    gateway.store.is_away = False
    assert (await node("alive", b"two")).status == 410
    assert changes[3:] == [""]


async def test_our_leases_are_not_a_medusas() -> None:
    """A beat without a lease renews a Java service's lease, never one of ours at the same address."""
    gateway = Gateway()
    lease = LeaseState(LEASE, "one", "127.0.0.1", signed=True)
    await gateway.store.register(ServiceInstance("one", Address("http", "127.0.0.1", 8002)), lease)
    assert (await gateway.call("alive", b"one")).status == 410
    await gateway.call("registration", json.dumps(java()).encode())
    assert (await gateway.call("alive", b"one")).status == 200


async def test_thousands_of_resources() -> None:
    """A Medusa with 5,000 files and many menus gets an answer that it can read."""
    gateway = Gateway()
    medusa = Medusa(gateway, "k", java(staticResources=[f"webjars/x/{n}.js" for n in range(5_000)]))
    medusa.ready()
    await medusa.second()
    await gateway.refresh()
    medusa.state = "NOT_REGISTERED"
    await medusa.second()
    assert medusa.state == "REGISTERED"


async def test_what_services_do_is_told() -> None:
    """A registration is told with its version and address, a beat, a drain and a farewell with the name alone."""
    gateway = Gateway(accept_unsigned=["127.0.0.0/8"])
    named = [(b"hydra-instance", LEASE.encode())]
    answer = await gateway.call("registration", registration_json(instance(), LEASE), headers=named)
    service = instance().service
    (the,) = await listed(gateway)
    await gateway.call("alive", service.encode(), headers=named)
    await gateway.call("drain", drain_json(Drain(service, the.token, True)), headers=named)
    await gateway.call("registration", service.encode(), method="DELETE", headers=named)
    assert answer.status == 200
    assert gateway.told == [
        RegistrationRecord("register", service, the.version, the.address.netloc, 200),
        RegistrationRecord("beat", service, None, "", 200),
        RegistrationRecord("drain", service, None, "", 200),
        RegistrationRecord("leave", service, None, "", 200),
    ]


async def test_registrations_wait_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are dealt with at once; the others have their turn after them."""
    monkeypatch.setattr("hydra_asgi.control.registration.AT_ONCE", 2)
    monkeypatch.setattr("hydra_asgi.control.registration.LINE_SECONDS", 60.0)
    gateway = Gateway()
    now, most = 0, 0

    async def count(host: str, port: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    monkeypatch.setattr(gateway.prober, "why_unreachable", count)
    nodes = [Node(gateway, lease=f"lease-of-24-characters-{number}") for number in range(7)]
    answers = await asyncio.gather(*(node.register() for node in nodes))
    assert [answer.status for answer in answers] == [200] * 7
    assert most == 2


async def test_a_service_that_cannot_be_reached_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes us wait for a connection gives up the place in which others would be dealt with."""
    monkeypatch.setattr("hydra_asgi.control.registration.AT_ONCE", 1)
    monkeypatch.setattr("hydra_asgi.control.registration.LINE_SECONDS", 60.0)
    gateway = Gateway(seconds=60.0)
    is_probed, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(host: str, port: int) -> None:
        if not is_probed.is_set():
            is_probed.set()
            await goes_on.wait()

    monkeypatch.setattr(gateway.prober, "why_unreachable", slow)
    first, second = (Node(gateway, lease=f"lease-of-24-characters-{number}") for number in range(2))
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(first.register())
        await is_probed.wait()
        assert (await second.register()).status == 200
        assert not waiting.done()
        goes_on.set()
    assert waiting.result().status == 200


async def test_a_line_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who would wait for longer than a service waits is told to come again, and nobody's turn is lost by that."""
    monkeypatch.setattr("hydra_asgi.control.registration.AT_ONCE", 1)
    monkeypatch.setattr("hydra_asgi.control.registration.LINE_SECONDS", 0.02)
    monkeypatch.setattr("hydra_asgi.control.registration.QUICK_SECONDS", 60.0)
    gateway = Gateway(seconds=60.0)
    is_probed, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(host: str, port: int) -> None:
        is_probed.set()
        await goes_on.wait()

    monkeypatch.setattr(gateway.prober, "why_unreachable", slow)
    first, second = (Node(gateway, lease=f"lease-of-24-characters-{number}") for number in range(2))
    async with asyncio.TaskGroup() as tasks:
        registering = tasks.create_task(first.register())
        await is_probed.wait()
        sent_away = await second.register()
        goes_on.set()
    assert registering.result().status == 200
    assert sent_away.status == 503
    assert "too many services register at once" in reason(sent_away)
    assert (await second.register()).status == 200
