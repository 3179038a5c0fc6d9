"""The contract of all stores, kept by `RedisStore` on a Redis and on a Valkey."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator

import pytest

from hydra_asgi.backends.redis_store import open_redis_store
from tests.backends.redis_store.servers import BINARIES, a_server, a_store, fresh_namespace, hurried_rig
from tests.backends.store_contract import StoreContract
from tests.backends.store_rig import StoreRig, a_lease, an_instance
from tests.faults.redis_server import RedisServer


@pytest.fixture(scope="module", params=sorted(BINARIES))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with a_server(tmp_path_factory.mktemp("contract"), request.param) as server:
        yield server


def closing(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A store has to be closed in the loop that used it, and a test's loop ends with the test."""

    @functools.wraps(test)
    async def closed(self: StoreContract, rig: StoreRig, **arguments: object) -> None:
        try:
            await test(self, rig, **arguments)
        finally:
            await rig.store.close()

    return closed


class TestRedisStoreKeepsTheContract(StoreContract):
    @pytest.fixture
    def rig(self, server: RedisServer) -> StoreRig:
        return hurried_rig(server, open_redis_store(f"{server.url}?{fresh_namespace()}"))


for name in dir(StoreContract):
    if name.startswith("test_"):
        setattr(TestRedisStoreKeepsTheContract, name, closing(getattr(StoreContract, name)))


async def test_time_is_that_of_the_server(server: RedisServer) -> None:
    """Without anybody moving its clock, silence makes inactive after five seconds and forgotten after ten."""
    clock = asyncio.get_running_loop().time
    async with a_store(server) as store:
        await store.register(an_instance(), a_lease())
        start = clock()
        seen: dict[str, float] = {}
        while clock() < start + 14 and "forgotten" not in seen:
            instances = (await store.snapshot()).instances
            if not instances:
                seen.setdefault("forgotten", clock() - start)
            elif not instances[0].active:
                seen.setdefault("inactive", clock() - start)
            await asyncio.sleep(0.2)
        # Time does not pass faster than it does; on a slow machine we may look late.
        assert 4.9 < seen["inactive"] < 8
        assert 9.9 < seen["forgotten"] < 14
