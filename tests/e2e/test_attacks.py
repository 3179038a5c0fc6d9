"""Requests and responses on which two parsers could disagree, said over raw sockets to a gateway under each server.

What counts is what reaches the service behind it: nothing, or one request that reads in one way only. All scenarios of
a server run at the same time against one node, so an answer that went to the wrong client would be seen too.
"""

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest

from hydra_asgi import Hydra
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.ports import LeaseState
from tests.e2e.attacks import answers, framing, paths  # noqa: F401 -- each adds to SCENARIOS
from tests.e2e.attacks.attack import SCENARIOS, Answering, Attack
from tests.e2e.attacks.talker import Talker
from tests.e2e.hostile import KEY, SECRET, Recorder, announced, node
from tests.gateway.servers import SERVERS
from tests.raw_server import raw_server

pytestmark = pytest.mark.e2e


def service_of(name: str) -> Recorder | Talker:
    return Talker() if name.startswith(("row_16", "row_17", "row_18")) else Answering()


async def run_all(server: str) -> dict[str, BaseException | None]:
    """Every scenario at the same time against one node."""
    store = MemoryStore(clock=lambda: 0.0)
    attacks = {name: Attack(name, server, service=service_of(name)) for name in SCENARIOS}  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        for name, attack in attacks.items():
            attack.raw = await stack.enter_async_context(raw_server(attack.service))
            instance = announced(name, attack.raw.address, routes=[f"/{name}/{{rest:path}}"])
            await store.register(instance, LeaseState(name, name, "127.0.0.1", signed=True))
        hydra = Hydra(gateway=True, key=KEY, secret=SECRET, store=store, routes=["/own"])
        port = await stack.enter_async_context(node(server=server, hydra=hydra))
        for attack in attacks.values():
            attack.port = port

        async def run(attack: Attack) -> None:
            async with asyncio.timeout(25):
                await SCENARIOS[attack.name](attack)
            if isinstance(attack.service, Recorder):
                assert not attack.service.wrong

        ran = await asyncio.gather(*map(run, attacks.values()), return_exceptions=True)
        late = [found_late(attack) for attack in attacks.values()]
    return {name: failed or came for name, failed, came in zip(attacks, ran, late, strict=True)}


def found_late(attack: Attack) -> AssertionError | None:
    """What the service of a scenario got when that scenario was over."""
    try:
        attack.check_nothing_came_late()
    except AssertionError as error:
        return error
    return None


@pytest.fixture(scope="module", params=SERVERS)
def outcomes(request: pytest.FixtureRequest) -> dict[str, BaseException | None]:
    logger = logging.getLogger("hydra_asgi")
    logger.setLevel(logging.CRITICAL)
    try:
        return asyncio.run(run_all(request.param))
    finally:
        logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("name", SCENARIOS)
def test_row(outcomes: dict[str, BaseException | None], name: str) -> None:
    """Each scenario says in its own words what may happen."""
    failure = outcomes[name]
    if failure is not None:
        raise failure
