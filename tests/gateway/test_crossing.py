"""What is special to a service in what crosses a gateway."""

from dataclasses import replace

from hydra_asgi.core.admission.gateway_proof import is_proof
from hydra_asgi.core.directory.directory_state import build_state
from hydra_asgi.core.instance import Address, Dialect, Revision, ServiceInstance, Snapshot
from hydra_asgi.gateway.crossing import Crossing

ORDERS = ServiceInstance("orders", Address("http", "10.0.0.5", 8000))
BILLING = ServiceInstance("billing", Address("http", "10.0.0.6", 8000))
SECRETS = {"orders": "the secret of this site", "billing": "a secret of their own"}
SENT = [(b"cookie", b"sid=1; lang=de"), (b"accept", b"*/*")]


def test_by_default() -> None:
    """Where nothing is said nothing changes: the same lists go on, and nothing is proven."""
    crossing = Crossing()
    answer = [(b"location", b"http://10.0.0.5:8000/x")]
    assert crossing.request_fields(SENT, "orders") is SENT
    assert not crossing.has_cookie_rule("orders")
    assert crossing.proof(ORDERS) is None
    assert crossing.response_fields(answer, ORDERS) == answer


def test_cookies() -> None:
    """A service with a rule gets the cookies that it names."""
    crossing = Crossing(cookies={"orders": {"sid"}})
    assert crossing.request_fields(SENT, "orders") == [(b"cookie", b"sid=1"), (b"accept", b"*/*")]
    assert crossing.request_fields(SENT, "billing") is SENT
    assert [crossing.has_cookie_rule(name) for name in ("orders", "billing")] == [True, False]


def test_locations() -> None:
    """Addresses are internal as long as the directory lists them; an app's own base path is left out."""
    states = [build_state(Snapshot(Revision("a", 1), (ORDERS,)), ())]
    crossing = Crossing(lambda: states[0])
    answer = [(b"location", b"http://10.0.0.5:8000/x")]
    assert crossing.response_fields(answer, BILLING) == [(b"location", b"/x")]
    states[0] = build_state(Snapshot(Revision("a", 2), ()), ())
    assert crossing.response_fields(answer, BILLING) == answer
    below = replace(ORDERS, address=Address("http", "10.0.0.5", 8000, "/app"))
    assert crossing.response_fields([(b"location", b"/app/x")], below) == [(b"location", b"/x")]
    assert crossing.response_fields([(b"location", b"/app/x")], None) == [(b"location", b"/app/x")]


def test_proofs() -> None:
    """One is made for each service once a minute, with what the service knows."""
    passed = [0.0]
    asked: list[str] = []

    def wall() -> float:
        return 1_790_000_050 + passed[0]

    def secret(service: str) -> str:
        asked.append(service)
        return SECRETS[service]

    crossing = Crossing(secret=secret, gateway="hydra-7f", wall=wall, clock=lambda: 5 + passed[0])
    for instance in (ORDERS, BILLING, ORDERS, BILLING):
        proof = crossing.proof(instance)
        assert proof is not None
        assert proof[0] == b"hydra-gateway"
        assert is_proof(SECRETS[instance.service], proof[1], service=instance.service, now=wall())
    assert asked == ["orders", "billing"]
    before = crossing.proof(ORDERS)
    passed[0] = 49.9
    assert crossing.proof(ORDERS) == before
    passed[0] = 50.1
    after = crossing.proof(ORDERS)
    assert after is not None
    assert after != before
    assert is_proof(SECRETS["orders"], after[1], service="orders", now=wall())


def test_a_secret_that_comes_later() -> None:
    """As long as there is none nothing is proven, and nothing is remembered of that."""
    known = [""]
    crossing = Crossing(secret=lambda service: known[0], gateway="hydra-7f")
    assert crossing.proof(ORDERS) is None
    known[0] = SECRETS["orders"]
    assert crossing.proof(ORDERS) is not None


def test_peers_that_would_not_understand() -> None:
    """Only nodes of ours are sent a proof: nobody else shall be able to use it."""
    crossing = Crossing(secret=lambda service: SECRETS[service], gateway="hydra-7f")
    assert all(crossing.proof(replace(ORDERS, dialect=other)) is None for other in (Dialect.MEDUSA, Dialect.PLAIN))
