"""Shared fixtures: async tests without a plugin, and a detector for code that blocks the loop."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

ASYNC_TEST_SECONDS = 60
"""A bound for every async test: a hang is a failure with a stack, not a stuck run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The fault scenarios are a part of their own: they take minutes, and need Redis, Sentinel and root."""
    group = parser.getgroup("hydra_asgi")
    group.addoption("--faults", action="store_true", help="run the fault scenarios, and nothing else")
    group.addoption("--fault-table", metavar="PAGE", help="with --faults: write what was measured into this page")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Either the fault scenarios or everything else."""
    wanted = config.getoption("--faults")
    left = [item for item in items if (item.get_closest_marker("faults") is None) == wanted]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if (item.get_closest_marker("faults") is None) != wanted]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests in a loop of their own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments: dict[str, Any] = {
        name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters
    }

    async def run() -> None:
        async with asyncio.timeout(ASYNC_TEST_SECONDS):
            await pyfuncitem.obj(**arguments)

    asyncio.run(run())
    return True


@pytest.fixture(autouse=True)
def _never_block(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """Blocking calls made by our package inside a running loop fail the test. End-to-end tests drive processes."""
    if request.node.get_closest_marker("e2e"):
        yield None
        return
    with blockbuster_ctx("hydra_asgi") as detector:
        yield detector


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Waits until a condition holds, as in `await eventually(lambda: seen)`."""

    async def wait(condition: Callable[[], object], seconds: float = 15.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - the condition is the test's own and sets no event
                await asyncio.sleep(0.005)

    return wait
