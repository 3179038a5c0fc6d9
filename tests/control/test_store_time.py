"""What one control call may take of the store's time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hydra_asgi.control.store_time import StoreTime
from hydra_asgi.errors import StoreError


async def answer_after(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "answer"


async def test_an_answer_in_time_is_handed_on() -> None:
    """Also when the time is used up and the store need not be waited for."""
    within = StoreTime(5)
    assert await within(answer_after(0)) == "answer"

    async def at_once() -> str:
        return "here"

    assert await StoreTime(0.0)(at_once()) == "here"


async def test_all_questions_share_one_time() -> None:
    """Each of them would be answered in time; together they are not, and what lies between them does not count."""
    within = StoreTime(0.5)
    await asyncio.sleep(0.6)
    assert await within(answer_after(0.02)) == "answer"
    with pytest.raises(StoreError, match=r"did not answer within 0.5 s"):
        await within(answer_after(30))
    with pytest.raises(StoreError):
        await within(answer_after(0.01))


@pytest.mark.parametrize("failure", [StoreError, RuntimeError])
async def test_what_the_store_says_is_handed_on(failure: Callable[[str], Exception]) -> None:
    """Trouble with another name than the time keeps its name."""

    async def fail() -> Any:
        raise failure("the store is away")

    with pytest.raises((StoreError, RuntimeError), match="the store is away"):
        await StoreTime(5)(fail())
