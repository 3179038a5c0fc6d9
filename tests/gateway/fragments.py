"""A fragment source for tests: answers from a table, one fragment at a time when told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext

__all__ = ["ScriptedSource"]


@dataclass
class ScriptedSource:
    """Answers `ref` with its HTML; None is a failure, a missing ref is not answered at all.

    Attributes:
        html: ref to HTML or None.
        gates: ref to an event that has to be set first.
        error: raised after the answers.
        endless: wait for ever after the answers.
        asked: every call, as service, refs and page.
        questions: every question.
        ended: services whose answers were ended, by us or by the asker.
    """

    html: dict[str, str | None] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    error: Exception | None = None
    endless: bool = False
    asked: list[tuple[str, list[str], PageContext]] = field(default_factory=list)
    questions: list[FragmentQuestion] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    @property
    def calls(self) -> list[tuple[str, list[str]]]:
        return [(service, refs) for service, refs, _ in self.asked]

    def gate(self, ref: str) -> asyncio.Event:
        return self.gates.setdefault(ref, asyncio.Event())

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        self.asked.append((service, [question.ref for question in questions], page))
        self.questions.extend(questions)
        try:
            for question in questions:
                if question.ref in self.gates:
                    await self.gates[question.ref].wait()
                if question.ref in self.html:
                    html = self.html[question.ref]
                    cause = FragmentCause.STATUS if html is None else None
                    yield FragmentAnswer(question.id, html, cause, "500" if html is None else "")
            yield FragmentAnswer("unknown", "never shown")
            if self.error is not None:
                raise self.error
            if self.endless:
                await asyncio.Event().wait()
        finally:
            self.ended.append(service)
