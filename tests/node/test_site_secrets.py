"""Secrets that a site shares."""

import asyncio
from itertools import count
from typing import Any

import pytest

from hydra_asgi.errors import StoreError
from hydra_asgi.node.site_secrets import LOOK_SECONDS, RETRY_SECONDS, SiteSecrets
from tests.doubles.gateway import MoodyStore
from tests.doubles.hand_clock import HandClock


class SecretStore(MoodyStore):
    """A store in which another node may be quicker."""

    quicker: bytes | None = None
    always = False

    async def secret(self, name: str) -> Any:
        await self._mood()
        found = await super().secret(name)
        if self.quicker is not None:
            await super().keep_secret(name, self.quicker, expected=found)
            self.quicker = None
        return None if self.always else found


def node(store: SecretStore, name: bytes = b"n", **options: Any) -> SiteSecrets:
    numbers = count(1)
    return SiteSecrets(store, make=lambda: name + b"%d" % next(numbers), **options)


async def test_the_first_makes_it_and_the_others_take_it() -> None:
    """Nodes that open the same store agree on a secret, and each name is one of its own."""
    store = SecretStore()
    one, other = node(store, b"one"), node(store, b"other")
    assert one.known("a") is None
    assert [await one.get_or_make("a"), await other.get_or_make("a")] == [b"one1", b"one1"]
    assert await other.get_or_make("b") == b"other1"
    assert (one.known("a"), one.known("b")) == (b"one1", None)


async def test_another_node_is_quicker() -> None:
    """What was made in the same moment elsewhere is taken instead."""
    store = SecretStore()
    store.quicker = b"theirs"
    assert await node(store).get_or_make("a") == b"theirs"


async def test_others_change_it_all_the_time() -> None:
    """Nobody tries for ever."""
    store = SecretStore()
    await store.keep_secret("a", b"x", expected=None)
    store.always = True
    with pytest.raises(StoreError, match="could not be agreed upon"):
        await node(store).get_or_make("a")


@pytest.mark.parametrize("mood", ["is_away", "hangs"])
async def test_the_store_is_away(mood: str) -> None:
    """What is known stays known; whoever asks the store is told in time."""
    store = SecretStore()
    secrets = node(store, patience=0.01)
    await secrets.get_or_make("a")
    setattr(store, mood, True)
    with pytest.raises(StoreError):
        await secrets.get_or_make("a")
    assert secrets.known("a") == b"n1"


async def test_following() -> None:
    """A secret is handed on when it is there, once, again when it has changed, and put back when it was lost."""
    store, clock = SecretStore(), HandClock()
    used: list[bytes] = []
    store.is_away = True
    task = asyncio.create_task(node(store, sleep=clock.sleep).follow("a", used.append))
    await clock.tick(2)
    assert (used, set(clock.naps)) == ([], {RETRY_SECONDS})
    store.is_away = False
    await clock.tick(3)
    assert (used, clock.naps[-1]) == ([b"n1"], LOOK_SECONDS)
    await store.keep_secret("a", b"new", expected=b"n1")
    await clock.tick()
    assert used == [b"n1", b"new"]
    await store.keep_secret("a", None, expected=b"new")
    await clock.tick()
    assert await store.secret("a") == b"new"
    assert used == [b"n1", b"new"]
    task.cancel()
    await asyncio.wait([task])


def test_secrets_are_strong() -> None:
    """A secret that is made has 256 bits, and is another each time."""
    made = SiteSecrets(SecretStore())._make
    assert len(made()) == 32
    assert made() != made()
