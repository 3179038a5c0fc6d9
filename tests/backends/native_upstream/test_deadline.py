"""Deadlines of a connection: one timer of the loop, whatever is set and cleared."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

from hydra_asgi.backends.native_upstream.deadline import Deadline

Eventually = Callable[..., Any]


class HandLoop:
    """The loop's clock and timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[asyncio.TimerHandle] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        self.made += 1
        timer = asyncio.TimerHandle(when, call, (), asyncio.get_running_loop())
        self.timers.append(timer)
        return timer

    def move(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer.when() <= self.now and not timer.cancelled()]
        self.timers = [timer for timer in self.timers if timer not in due and not timer.cancelled()]
        for timer in due:
            timer._run()


def made() -> tuple[HandLoop, Deadline, list[str]]:
    loop: Any = HandLoop()
    return loop, Deadline(loop), []


async def test_it_acts_when_time_is_up() -> None:
    """Once, and not before."""
    loop, deadline, rung = made()
    deadline.set(3.0, lambda: rung.append("late"))
    loop.move(2.9)
    assert rung == []
    loop.move(0.1)
    loop.move(10.0)
    assert rung == ["late"]


async def test_a_cleared_deadline_does_nothing() -> None:
    """What came in time is not punished."""
    loop, deadline, rung = made()
    deadline.set(3.0, lambda: rung.append("late"))
    deadline.expires = inf
    loop.move(10.0)
    assert rung == []
    assert loop.timers == []


async def test_a_later_deadline_uses_the_timer_that_is_there() -> None:
    """A thousand requests in a second touch the loop's timers once; the last deadline is the one that counts."""
    loop, deadline, rung = made()
    for number in range(1000):
        deadline.set(30.0, lambda number=number: rung.append(str(number)))
        deadline.expires = inf
        loop.move(0.001)
    deadline.set(30.0, lambda: rung.append("last"))
    assert loop.made == 1
    loop.move(29.5)
    assert rung == []
    loop.move(0.5)
    assert rung == ["last"]


async def test_an_earlier_deadline_rings_earlier() -> None:
    """A timer that would ring too late is replaced."""
    loop, deadline, rung = made()
    deadline.set(30.0, lambda: rung.append("first"))
    deadline.set(1.0, lambda: rung.append("second"))
    loop.move(1.0)
    assert rung == ["second"]
    assert loop.timers == []


async def test_never_is_possible() -> None:
    """None replaces what was set, by nothing."""
    loop, deadline, rung = made()
    deadline.set(1.0, lambda: rung.append("late"))
    deadline.set(None, lambda: rung.append("never"))
    loop.move(1e9)
    assert rung == []


async def test_closing_lets_go() -> None:
    """A closed deadline holds no timer, with one set or without."""
    loop, deadline, rung = made()
    deadline.close()
    deadline.set(1.0, lambda: rung.append("late"))
    deadline.close()
    assert loop.timers[0].cancelled()
    loop.move(2.0)
    assert rung == []


async def test_the_loops_own_clock_will_do(eventually: Eventually) -> None:
    """With a real loop it rings too."""
    rung: list[str] = []
    Deadline(asyncio.get_running_loop()).set(0.01, lambda: rung.append("late"))
    await eventually(lambda: rung)
