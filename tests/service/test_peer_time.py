"""Signing again where a peer's clock is another."""

from typing import Any

import pytest

from hydra_asgi.core.admission.signature import Judgement, verify
from hydra_asgi.core.instance import Address
from hydra_asgi.ports import UpstreamRequest
from hydra_asgi.service.peer_time import PeerTime, time_of
from hydra_asgi.service.signer import Signer
from hydra_asgi.testing import AsgiUpstream

SECRET = "the secret of the cluster"
PATH = "/h/fragment/k/requestFragment"
OWN = "the secret of that service"
HERE = 1_000_000.0


class Peer:
    """A node with a clock of its own, which judges signatures."""

    def __init__(self, now: float, secret: str = SECRET) -> None:
        self.now = now
        self.secret = secret
        self.judgements: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"")
        fields = dict(scope["headers"])
        signature = fields.get(b"hydra-signature", b"").decode()
        verdict = verify(self.secret, signature, method="POST", path=scope["path"], body=body, now=self.now)
        self.judgements.append(verdict.judgement)
        headers = [(b"hydra-time", b"%d" % self.now)]
        await send({"type": "http.response.start", "status": 200 if verdict.is_good else 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Rig:
    def __init__(self, *, secret: str = SECRET, **peers: Peer) -> None:
        self.signer = Signer(secret, clock=lambda: HERE)
        of_service = {"own": Signer(OWN, clock=lambda: HERE)}
        apps = {f"{name}:80": peer for name, peer in peers.items()}
        self.upstream = PeerTime(AsgiUpstream(apps), self.signer, of_service)

    async def ask(self, host: str, *, signed: bool = True, service: str = "", method: str = "POST") -> int:
        address = Address("http", host, 80, "/base")
        headers = [(b"host", host.encode()), *(self.signer("POST", PATH, b"{}") if signed else [])]
        request = UpstreamRequest(address, method, f"/base{PATH}".encode(), headers, b"{}", service=service)
        response = await self.upstream.send(request)
        async with response:
            assert b"".join([piece async for piece in response.body()]) == b"{}"
        return response.status


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_peer_whose_clock_is_wrong(hours: int) -> None:
    """It refuses once and gets the same question with its own time; from then on its time is known."""
    peer = Peer(HERE + hours * 3600)
    rig = Rig(a=peer)
    assert [await rig.ask("a"), await rig.ask("a")] == [200, 200]
    assert peer.judgements == [Judgement.STALE, Judgement.GOOD, Judgement.GOOD]


async def test_clocks_are_corrected_peer_by_peer() -> None:
    """One peer with a wrong clock changes nothing for the others."""
    wrong, right = Peer(HERE + 3600), Peer(HERE)
    rig = Rig(a=wrong, b=right)
    for _ in range(3):
        assert await rig.ask("a") == 200
        assert await rig.ask("b") == 200
    assert set(right.judgements) == {Judgement.GOOD}
    assert wrong.judgements.count(Judgement.STALE) == 1


@pytest.mark.parametrize("secret", [SECRET, ""])
async def test_a_service_with_a_secret_of_its_own(secret: str) -> None:
    """It is asked with its own secret, whether the site has another one or none, and with its own time."""
    peer = Peer(HERE + 3600, secret=OWN)
    rig = Rig(secret=secret, a=peer)
    assert [await rig.ask("a", service="own"), await rig.ask("a", service="own")] == [200, 200]
    assert peer.judgements == [Judgement.STALE, Judgement.GOOD, Judgement.GOOD]


async def test_pages_of_such_a_service_are_not_signed() -> None:
    """What is asked by plain GET carries no signature."""
    peer = Peer(HERE, secret=OWN)
    assert await Rig(secret="", a=peer).ask("a", service="own", method="GET") == 401
    assert peer.judgements == [Judgement.MISSING]


async def test_other_refusals_stay() -> None:
    """A refusal that has nothing to do with the time is handed on at once."""
    stranger = Peer(HERE, secret="another secret of a cluster")
    assert await Rig(a=stranger).ask("a") == 401
    assert len(stranger.judgements) == 1


async def test_a_peer_that_refuses_again() -> None:
    """A question is signed again once, and no more."""
    stranger = Peer(HERE + 3600, secret="another secret of a cluster")
    assert await Rig(a=stranger).ask("a") == 401
    assert len(stranger.judgements) == 2


async def test_what_carries_no_signature_gets_none() -> None:
    """A request of another kind passes as it is."""
    peer = Peer(HERE + 3600)
    assert await Rig(a=peer).ask("a", signed=False) == 401
    assert peer.judgements == [Judgement.MISSING]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"Hydra-Time", b"12")], 12.0),
        ([(b"hydra-time", b"-1")], None),
        ([(b"hydra-time", b"9" * 13)], None),
        ([(b"date", b"12")], None),
    ],
)
def test_the_time_of_a_refusal(headers: list[tuple[bytes, bytes]], expected: float | None) -> None:
    """Whole unix seconds, and nothing that only looks like them."""
    assert time_of(headers) == expected


async def test_closing() -> None:
    """Closing is handed on."""
    await Rig().upstream.close()
