"""`hydra-asgi drain` and `undrain` of an instance in the shared store."""

from dataclasses import replace

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.cli import drain_instance
from hydra_asgi.cli.drain_instance import find_instance
from hydra_asgi.core.instance import Address, Revision, Snapshot
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.ports import LeaseState
from tests.cli.live_site import LiveSite, instance, site

__all__ = ["site"]  # a fixture


def weight(site: LiveSite, port: int) -> float:
    return next(one.weight for one in site.snapshot().instances if one.address.port == port)


def test_an_instance_is_drained_and_comes_back(site: LiveSite) -> None:
    """By token and by service and address; neither key nor secret are needed, the store is trust enough."""
    ended = site.call("drain", str(site.token(2)))
    assert ended.exit_code == 0
    assert ended.stdout == (
        f"orders v1 at http://10.0.0.1:2 ({site.token(2)}) is drained: within a second no node sends it a request, "
        "and it answers what it has\n"
    )
    assert weight(site, 2) == 0.0
    ended = site.call("undrain", "orders@http://10.0.0.1:2/")
    assert ended.exit_code == 0
    assert ended.stdout == f"orders v1 at http://10.0.0.1:2 ({site.token(2)}) takes users again (active, weight 10)\n"
    assert weight(site, 2) == 10.0


def test_the_last_one_is_told(site: LiveSite) -> None:
    """Nobody takes a service off the site without being told."""
    assert "it was the last" not in site.call("drain", "orders@10.0.0.1:3").stdout
    ended = site.call("drain", "orders@10.0.0.1:2")
    assert ended.exit_code == 0
    assert "it was the last, so orders takes no requests at all now" in ended.stdout


def test_an_unknown_instance(site: LiveSite) -> None:
    """What is not listed is named, with where the names are."""
    for name in ("1234567890", "orders@10.0.0.1:9", "shop@10.0.0.1:2"):
        ended = site.call("drain", name)
        assert ended.exit_code == 2
        assert ended.stderr == f"hydra-asgi: no instance is listed as {name!r}: `hydra-asgi instances` lists all\n"


def test_a_name_of_another_form(site: LiveSite) -> None:
    """A service is no instance: draining all of it is `weights`, or stopping it."""
    ended = site.call("undrain", "orders")
    assert ended.exit_code == 2
    assert "'orders' names no instance: expected a token such as 1234567890, or service@address" in ended.stderr


class Leaving(MemoryStore):
    """A store whose instances leave between two looks."""

    async def drain(self, token: int, *, draining: bool = True) -> bool:
        for one in (await self.snapshot()).instances:
            await self.release(str(one.address), one.service)
        return await super().drain(token, draining=draining)


async def test_an_instance_that_leaves_in_this_moment() -> None:
    """Nothing is claimed to be drained that is not there any more."""
    store, one = Leaving(), instance("orders", 1, 1)
    token = (await store.register(one, LeaseState(str(one.address), "orders"))).token
    with pytest.raises(ConfigurationError, match=f"orders v1 at http://10.0.0.1:1 .{token}. left in this moment"):
        await drain_instance._change(store, name=str(token), draining=True)


def test_addresses_with_and_without_scheme_and_base() -> None:
    """The scheme may be left out where one instance is meant; else the tokens are offered."""
    plain = replace(instance("orders", 1, 1), token=1_000_000_001)
    based = replace(plain, address=Address("http", "10.0.0.1", 1, "/base"), token=1_000_000_002)
    secure = replace(plain, address=Address("https", "10.0.0.1", 1), token=1_000_000_003)
    both = Snapshot(Revision("e", 1), (plain, based))
    assert find_instance(both, "orders@10.0.0.1:1") == plain
    assert find_instance(both, "orders@10.0.0.1:1/base") == based
    with pytest.raises(ConfigurationError, match="stands for 2 instances: name one by token, 1000000001, 1000000003"):
        find_instance(Snapshot(Revision("e", 1), (plain, secure)), "orders@10.0.0.1:1")
    assert find_instance(Snapshot(Revision("e", 1), (plain, secure)), "orders@https://10.0.0.1:1") == secure
