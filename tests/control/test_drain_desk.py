"""Taking a node out of the site by a call."""

import json
import time
from typing import Any

from hydra_asgi.control.drain_desk import DrainDesk
from hydra_asgi.control.first_use import FirstUse
from hydra_asgi.control.guard import Guard
from hydra_asgi.control.plane import ControlPlane, ReadyState
from hydra_asgi.core.admission.signature import sign
from tests.doubles.gateway import MoodyStore
from tests.exchange import Exchange, exchange, http_scope

KEY, SECRET = "site", "a secret that is long"
PATH = f"/h/node/{KEY}/drain"


class Rig:
    def __init__(self, secret: str = SECRET, store: MoodyStore | None = None) -> None:
        self.drains = 0
        guard = Guard(key=KEY, secret=secret, accept_unsigned=["127.0.0.0/8"])
        first_use = None if store is None else FirstUse(store, seconds=0.01)
        desk = DrainDesk(guard, self.drain, lambda: 3, first_use)
        self.plane = ControlPlane(guard, ready=ReadyState, drain=desk)

    async def drain(self) -> None:
        self.drains += 1

    async def call(
        self, *, secret: str = SECRET, signed: bool = True, body: bytes = b"{}", path: str = PATH
    ) -> Exchange:
        signature = sign(secret, method="POST", path=path, body=body, time=time.time(), nonce=f"n{self.drains}")
        headers: Any = [(b"hydra-signature", signature.encode())] if signed else []
        return await exchange(self.plane, http_scope(path, method="POST", headers=headers), body)


async def test_draining() -> None:
    """A signed call drains the node and says how many requests it still serves; it may be repeated."""
    rig = Rig()
    for times in (1, 2):
        answer = await rig.call()
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "draining", "ongoing": 3})
        assert rig.drains == times


async def test_who_may_not() -> None:
    """Without a good signature nobody is sent away, not even by those who may register without one."""
    for rig, options in (
        (Rig(), {"signed": False}),
        (Rig(secret=""), {}),
        (Rig(), {"secret": "another secret, also long"}),
    ):
        answer = await rig.call(**options)  # type: ignore[arg-type]  # each set fits
        assert answer.status == 401
        assert rig.drains == 0


async def test_other_bodies_and_keys() -> None:
    """A long body is refused; another key is no path at all."""
    rig = Rig()
    assert (await rig.call(body=b"x" * 300)).status == 413
    assert (await rig.call(path="/h/node/other/drain")).status == 404
    assert rig.drains == 0


async def test_a_call_counts_once_in_the_site() -> None:
    """A call that was sent to one gateway drains no other; while the store is away each node sees to itself."""
    store = MoodyStore()
    one, other = Rig(store=store), Rig(store=store)
    assert (await one.call()).status == 200
    assert (await other.call()).status == 401
    assert other.drains == 0
    for mood in ("is_away", "hangs"):
        setattr(store, mood, True)
        rig = Rig(store=store)
        assert (await rig.call()).status == 200
        assert rig.drains == 1
