"""Who still owes an answer."""

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause
from hydra_asgi.core.fragments.fragment_tally import AnswerTally


def test_every_id_is_answered_once() -> None:
    """An answer is passed on once; a second one and one to another question are not."""
    tally = AnswerTally(["a", "b"])
    first = FragmentAnswer("a", "1")
    assert tally.take(first) is first
    assert tally.take(FragmentAnswer("a", "2")) is None
    assert tally.take(FragmentAnswer("stranger", "3")) is None
    assert tally.open_ids == ("b",)
    assert not tally.is_complete


def test_the_rest_is_given_up_together() -> None:
    """What is still open gets one cause, in the order of the questions, and then nothing is open."""
    tally = AnswerTally(["a", "b", "c"])
    tally.take(FragmentAnswer("b", "1"))
    assert tally.give_up(FragmentCause.TIMEOUT, "late") == [
        FragmentAnswer("a", None, FragmentCause.TIMEOUT, "late"),
        FragmentAnswer("c", None, FragmentCause.TIMEOUT, "late"),
    ]
    assert tally.is_complete
    assert tally.give_up(FragmentCause.TIMEOUT, "late") == []


def test_an_id_asked_of_two_services_waits_for_html() -> None:
    """A refusal by one service does not hide the HTML of the other that has the same id."""
    tally = AnswerTally(["x", "x"])
    html = FragmentAnswer("x", "here")
    assert tally.take(FragmentAnswer("x", None, FragmentCause.UNKNOWN_REF)) is None
    assert tally.take(html) is html


def test_an_id_that_two_services_refuse_is_refused_once() -> None:
    """The last refusal is the answer when nobody has HTML."""
    tally = AnswerTally(["x", "x"])
    refusal = FragmentAnswer("x", None, FragmentCause.STATUS)
    assert tally.take(FragmentAnswer("x", None, FragmentCause.UNKNOWN_REF)) is None
    assert tally.take(refusal) is refusal
    assert tally.take(refusal) is None
