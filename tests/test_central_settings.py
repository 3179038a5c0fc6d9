"""What is set centrally, as visitors of a running node see it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy
from tests.doubles.site import Echo, Site
from tests.exchange import exchange, http_scope

TESTER = Condition(ConditionSource.HEADER, "x-tester", "yes", 2)
BETA = Condition(ConditionSource.COOKIE, "beta", "", 2)
AS_TESTER = (b"x-tester", b"yes")
AS_BETA = (b"cookie", b"a=b; beta=1")


class Canary:
    """A gateway in front of two versions of orders, with an operator and visitors."""

    def __init__(self, hydra: Hydra, site: Site) -> None:
        self._app = HydraMiddleware(None, hydra=hydra)
        self._site = site

    async def set(self, settings: ServiceSettings | None) -> None:
        """Set it for orders, and let the node see it."""
        await self._site.store.configure("orders", settings)
        await self._site.refresh()

    async def who(self, *headers: tuple[bytes, bytes], path: str = "/orders") -> str:
        """Who answers a visitor with these headers; the status where nobody does."""
        answer = await exchange(self._app, http_scope(path, headers=[(b"host", b"site"), *headers]))
        return answer.body.decode() if answer.status == 200 else str(answer.status)

    async def parts(self, *headers: tuple[bytes, bytes]) -> dict[str, int]:
        """How many of 200 users each version answers."""
        seen: dict[str, int] = {}
        for number in range(200):
            name = await self.who((b"hydra-key", b"user-%016d" % number), *headers)
            seen[name] = seen.get(name, 0) + 1
        return seen


@asynccontextmanager
async def canary() -> AsyncIterator[Canary]:
    site = Site()
    made = Canary(site.hydra, site)
    await site.hydra.start()
    try:
        await site.add("orders", Echo("old"), "/orders", "/old", version=1)
        await site.add("orders", Echo("new"), "/orders", version=2)
        await site.add("legacy", Echo("rest"), "/{rest:path}")
        await site.refresh()
        yield made
    finally:
        await site.hydra.stop()


async def test_a_canary_grows_and_goes() -> None:
    """Shares move users from one revision to the next, and those who have the new version keep it as it grows."""
    async with canary() as orders:
        await orders.set(ServiceSettings({1: 90.0, 2: 10.0}))
        few = await orders.parts()
        await orders.set(ServiceSettings({1: 50.0, 2: 50.0}))
        half = await orders.parts()
        assert 5 <= few["new"] <= 40
        assert 70 <= half["new"] <= 130
        await orders.set(ServiceSettings({1: 100.0}))
        assert await orders.parts() == {"old": 200}
        await orders.set(None)
        assert 70 <= (await orders.parts())["new"] <= 130


async def test_testers_get_their_version_by_header_or_cookie() -> None:
    """Whatever their keys say, and although nobody else gets it."""
    async with canary() as orders:
        await orders.set(ServiceSettings({1: 100.0}, conditions=(TESTER, BETA)))
        assert await orders.parts() == {"old": 200}
        assert await orders.parts(AS_TESTER) == {"new": 200}
        assert await orders.who(AS_BETA) == "new"
        assert await orders.who((b"x-tester", b"no")) == "old"


async def test_testers_see_a_version_that_is_closed_to_everybody() -> None:
    """Shares of 0 are 503 for all others."""
    async with canary() as orders:
        await orders.set(ServiceSettings({1: 0.0, 2: 0.0}, conditions=(TESTER,)))
        assert (await orders.who(), await orders.who(AS_TESTER)) == ("503", "new")


async def test_the_newest_version_wins_where_it_has_the_route() -> None:
    """A page that only the old version has is still there."""
    async with canary() as orders:
        await orders.set(ServiceSettings(policy=SharePolicy.NEWEST_VERSION_WINS))
        assert await orders.parts() == {"new": 200}
        assert await orders.who(path="/old") == "old"


async def test_prefixes_take_routes_away_and_give_them_back() -> None:
    """What lies outside is somebody else's, until the limit goes."""
    async with canary() as orders:
        await orders.set(ServiceSettings(prefixes=("/orders",)))
        assert await orders.who() in ("old", "new")
        assert await orders.who(path="/old") == "rest"
        await orders.set(None)
        assert await orders.who(path="/old") == "old"
