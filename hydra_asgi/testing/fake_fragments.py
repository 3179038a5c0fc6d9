"""Fragments from a dictionary, for a user's own tests: no network, no other app, no waiting."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.hydra import Hydra

__all__ = ["Asked", "FakeFragments", "fake_fragments"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that a page asked.

    Attributes:
        service: whom; "" for the app's own fragments.
        ref: for what.
        imports: the names the fragment may see, as `name` or `name as alias`.
        exports: the names it may give back, in the same form.
    """

    service: str
    ref: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]


class FakeFragments:
    """A `FragmentSource` that answers from `answers` and remembers what was asked.

    Args:
        answers: (service, ref) -> HTML, or a `FragmentCause` to let the page show its fallback for that reason. What
            is missing is answered as an unknown ref.
    """

    def __init__(self, answers: Mapping[tuple[str, str], str | FragmentCause]) -> None:
        self._answers = dict(answers)
        self.asked: list[Asked] = []

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        for question in questions:
            self.asked.append(
                Asked(
                    service,
                    question.ref,
                    tuple(map(str, question.imports or ())),
                    tuple(map(str, question.exports)),
                )
            )
            answer = self._answers.get((service, question.ref), FragmentCause.UNKNOWN_REF)
            if isinstance(answer, FragmentCause):
                yield FragmentAnswer(question.id, None, answer, "as the test asked for")
            else:
                yield FragmentAnswer(question.id, answer)


@contextlib.contextmanager
def fake_fragments(hydra: Hydra, answers: Mapping[tuple[str, str], str | FragmentCause]) -> Iterator[FakeFragments]:
    """Let the pages of a node show fragments from a dictionary meanwhile.

    Args:
        hydra: the node under test.
        answers: (service, ref) -> HTML, or a `FragmentCause` to let the page show its fallback for that reason. What
            is missing is an unknown fragment, so its fallback shows. The service of the app's own fragments is `""`.
    """
    fragments = FakeFragments(answers)
    with hydra.node.fragments_from(fragments):
        yield fragments
