"""How long a client may take for one step."""

import asyncio

import pytest

from hydra_asgi.gateway.lookout import Lookout
from hydra_asgi.gateway.patience import Patience


class Step(Patience):
    """Waits for an event, as a step."""

    async def wait(self, event: asyncio.Event) -> bool:
        """Whether it came in time."""
        self._begin()
        try:
            await event.wait()
        except asyncio.CancelledError:
            if self._was_cut():
                return False
            raise
        finally:
            self._lookout.discard(self)
        return True


async def test_a_step_in_time_costs_nothing() -> None:
    """Nobody looks between two steps, and each has all the time."""
    lookout, come = Lookout(60.0), asyncio.Event()
    come.set()
    step = Step(1.0, lookout)
    assert await step.wait(come)
    step.look(5.0)
    assert await step.wait(come)
    step.look(5.5)
    step.look(6.4)
    assert not len(lookout)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_step_that_takes_too_long_is_ended_once() -> None:
    """The task that waits goes on after it, and may still be ended by others."""
    step = Step(1.0, Lookout(60.0))
    waiting = asyncio.create_task(step.wait(asyncio.Event()))
    await asyncio.sleep(0)
    for now in (1.0, 1.9, 2.0, 9.0):
        step.look(now)
    assert waiting.cancelling() == 1
    assert not await waiting


async def test_others_may_end_it_too() -> None:
    """A cancellation of theirs is none of ours, in whichever order they come."""
    step = Step(1.0, Lookout(60.0))
    waiting = asyncio.create_task(step.wait(asyncio.Event()))
    await asyncio.sleep(0)
    waiting.cancel()
    for now in (1.0, 2.0):
        step.look(now)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_has_no_time_or_has_not_begun_is_never_late() -> None:
    """Nothing is measured, and nobody is ended."""
    Step(1.0, Lookout(60.0)).look(1.0)
    step = Step(None, Lookout(60.0), asyncio.current_task())
    for now in (1.0, 1e9):
        step.look(now)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_only_tasks_can_be_ended() -> None:
    """A coroutine that somebody drives without a task is a mistake in the program."""
    failures: list[BaseException] = []

    def drive() -> None:
        coroutine = Step(1.0, Lookout(60.0)).wait(asyncio.Event())
        try:
            coroutine.send(None)
        except AssertionError as error:
            failures.append(error)

    asyncio.get_running_loop().call_soon(drive)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(failures) == 1
