"""Who still owes an answer: turns whatever a peer sends into at most one answer per id, and names what is missing."""

from collections import Counter
from collections.abc import Iterable

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause

__all__ = ["AnswerTally"]


class AnswerTally:
    """Counts the answers to one set of questions.

    An id that was asked of two services (CONTRACT.md 11.4) is answered once: by the first HTML, or by the last refusal
    when nobody has any.

    Args:
        ids: the ids of the questions; repeats are counted.
    """

    __slots__ = ("_open", "_owed")

    def __init__(self, ids: Iterable[str]) -> None:
        self._owed = Counter([*ids])
        self._open = dict.fromkeys(self._owed)

    @property
    def is_complete(self) -> bool:
        """Whether every id has its answer."""
        return not self._open

    @property
    def open_ids(self) -> tuple[str, ...]:
        """The ids without an answer, in the order of the questions."""
        return tuple(self._open)

    def take(self, answer: FragmentAnswer) -> FragmentAnswer | None:
        """Count one answer; returns it when it is the one to pass on, None for unknown, repeated and early ones."""
        if answer.id not in self._open:
            return None
        self._owed[answer.id] -= 1
        if answer.html is None and self._owed[answer.id] > 0:
            return None
        del self._open[answer.id]
        return answer

    def give_up(self, cause: FragmentCause, detail: str) -> list[FragmentAnswer]:
        """Answer everything that is still open with the same trouble, and be complete."""
        answers = [FragmentAnswer(id_, None, cause, detail) for id_ in self._open]
        self._open.clear()
        return answers
