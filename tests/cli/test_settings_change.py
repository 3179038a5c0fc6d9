"""Central settings that two operators change at one moment."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.cli.settings_change import change_settings
from hydra_asgi.cli.shared_store import OvertakenError
from hydra_asgi.core.instance import Snapshot
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy

TESTER = Condition(ConditionSource.HEADER, "x-tester", "yes", 2)


class Crowded(MemoryStore):
    """A store in which other operators set something right after we have looked, one after the other."""

    def __init__(self, *others: ServiceSettings) -> None:
        super().__init__()
        self.others = list(others)

    async def snapshot(self) -> Snapshot:
        seen = await super().snapshot()
        if self.others:
            await self.configure("orders", self.others.pop(0))
        return seen


def shares(**given: float) -> Callable[[ServiceSettings], ServiceSettings]:
    wanted = {int(version.removeprefix("v")): share for version, share in given.items()}
    return lambda settings: replace(settings, shares=wanted, policy=None)


async def test_what_others_do_beside_it_stays() -> None:
    """Conditions and prefixes that were set meanwhile are kept, and so are the shares of this call."""
    store = Crowded(ServiceSettings(conditions=(TESTER,)), ServiceSettings(conditions=(TESTER,), prefixes=("/o",)))
    _, settings = await change_settings(store, "orders", shares(v1=90, v2=10))
    assert settings == ServiceSettings({1: 90, 2: 10}, None, (TESTER,), ("/o",))
    assert (await store.snapshot()).settings == {"orders": settings}


@pytest.mark.parametrize(
    ("theirs", "now"),
    [
        (ServiceSettings({1: 50.0, 2: 50.0}), "share v1=50, share v2=50"),
        (ServiceSettings(policy=SharePolicy.EQUAL_SHARE), "policy EQUAL_SHARE"),
        (ServiceSettings(prefixes=("/o",)), "none"),
    ],
)
async def test_who_comes_second_to_the_same_part_is_told(theirs: ServiceSettings, now: str) -> None:
    """What the other one did stays, and the message names it and the way out."""
    store = Crowded()
    await store.configure("orders", ServiceSettings({1: 1.0}))
    store.others = [theirs]
    with pytest.raises(OvertakenError) as overtaken:
        await change_settings(store, "orders", shares(v1=90, v2=10))
    assert str(overtaken.value) == (
        f"somebody else has changed the shares of orders in this moment, now {now}: nothing was done. Look with "
        "`hydra-asgi weights get orders`, and repeat the call if it is still wanted"
    )
    assert (await store.snapshot()).settings == {"orders": theirs}


async def test_two_who_want_the_same_both_have_it() -> None:
    """There is nothing to tell anybody."""
    store = Crowded(ServiceSettings({1: 90.0, 2: 10.0}))
    _, settings = await change_settings(store, "orders", shares(v1=90.0, v2=10.0))
    assert settings == ServiceSettings({1: 90.0, 2: 10.0})
    assert (await store.snapshot()).settings == {"orders": settings}
