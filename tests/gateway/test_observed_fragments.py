"""What is told about fragments that are asked for."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from hydra_asgi.core.events import Event, FragmentRecord
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.gateway.observed_fragments import ObservedFragments

QUESTIONS = [FragmentQuestion(str(number), "orders", f"part{number}") for number in (1, 2)]
PAGE = PageContext(deadline=15.0)


class Rig:
    """A source with the answers given, observed by a clock that is set by hand."""

    def __init__(self, *answers: FragmentAnswer) -> None:
        self.now = 10.0
        self.told: list[Event] = []
        self.is_closed = False
        self._answers = answers
        self.source = ObservedFragments(self, self.told.append, own=("shop", 7), clock=lambda: self.now)

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        try:
            for answer in self._answers:
                self.now += 0.5
                yield answer
        finally:
            self.is_closed = True

    async def all(self, service: str = "orders") -> list[FragmentAnswer]:
        return [answer async for answer in self.source.ask(service, QUESTIONS, PAGE)]


async def test_each_outcome_is_told() -> None:
    """Rendered or why not, by which version, after how long; the answers pass as they are."""
    answers = (
        FragmentAnswer("2", None, FragmentCause.STATUS, "500"),
        FragmentAnswer("9", "nobody asked"),
        FragmentAnswer("1", "<b>", version=3),
    )
    rig = Rig(*answers)
    assert tuple(await rig.all()) == answers
    assert rig.told == [
        FragmentRecord("orders", "part2", None, "status", 0.5),
        FragmentRecord("orders", "part1", 3, "rendered", 1.5),
    ]


async def test_own_fragments() -> None:
    """Fragments of the node's own app are told under its own name and version."""
    rig = Rig(FragmentAnswer("1", "<b>"), FragmentAnswer("2", None))
    await rig.all("")
    assert rig.told == [
        FragmentRecord("shop", "part1", 7, "rendered", 0.5),
        FragmentRecord("shop", "part2", 7, "failed", 1.0),
    ]


async def test_what_is_not_answered_has_failed() -> None:
    """A source that ends early owes what it did not say."""
    rig = Rig(FragmentAnswer("1", "<b>"))
    await rig.all()
    assert rig.told[1:] == [FragmentRecord("orders", "part2", None, "failed", 0.5)]


@pytest.mark.parametrize(("now", "outcome"), [(14.9, "given-up"), (14.96, "timeout")])
async def test_whoever_stops_waiting(now: float, outcome: str) -> None:
    """What is open when the asker leaves was given up, or too late if the time was over; the source is closed."""
    rig = Rig(FragmentAnswer("1", "<b>"), FragmentAnswer("2", "<b>"))
    async with aclosing(rig.source.ask("orders", QUESTIONS, PAGE)) as answers:
        await anext(answers)
        rig.now = now
    assert rig.told[1:] == [FragmentRecord("orders", "part2", None, outcome, now - 10.0)]
    assert rig.is_closed
