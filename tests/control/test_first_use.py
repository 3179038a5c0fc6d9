"""A signed call counts once in the whole site."""

import pytest

from hydra_asgi.control.first_use import FirstUse
from hydra_asgi.control.guard import NONCE_SECONDS, Caller
from hydra_asgi.errors import RefusedError, StoreError
from tests.doubles.gateway import MoodyStore

SIGNED = Caller("10.0.0.1", signed=True, nonce="n1")


async def test_a_nonce_counts_once() -> None:
    """The second node that gets a call refuses it, for as long as its signature is good."""
    now = [0.0]
    store = MoodyStore(lambda: now[0])
    one, other = FirstUse(store), FirstUse(store)
    await one(SIGNED)
    now[0] = NONCE_SECONDS - 1
    with pytest.raises(RefusedError, match="used before") as raised:
        await other(SIGNED)
    assert raised.value.status == 401


@pytest.mark.parametrize("caller", [Caller("10.0.0.1"), Caller("10.0.0.1", signed=True, lease="l", counter=1)])
async def test_other_calls_are_not_its_business(caller: Caller) -> None:
    """Neither an unsigned call nor one with a counter is remembered here."""
    store = MoodyStore()
    store.is_away = True
    for _ in range(2):
        await FirstUse(store)(caller)


@pytest.mark.parametrize("mood", ["is_away", "hangs"])
async def test_the_store_is_away(mood: str) -> None:
    """Without an answer in time nobody can say that it is the first use."""
    store = MoodyStore()
    setattr(store, mood, True)
    with pytest.raises(StoreError):
        await FirstUse(store, seconds=0.01)(SIGNED)
