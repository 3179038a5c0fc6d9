"""Shared fixtures: async tests without a plugin, and a detector for code that blocks the loop."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

ASYNC_TEST_SECONDS = 60
"""A bound for every async test: a hang is a failure with a stack, not a stuck run."""


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

    async def wait(condition: Callable[[], object], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - the condition is the test's own and sets no event
                await asyncio.sleep(0.005)

    return wait
