"""The answer about fragments as lines."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause
from hydra_asgi.errors import UpstreamError
from hydra_asgi.wire.answer_lines import MAX_LINE, MAX_LINES, AnswerLines, answer_line

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ANSWERS = st.lists(
    st.builds(FragmentAnswer, TEXT, TEXT)
    | st.builds(FragmentAnswer, TEXT, st.none(), st.sampled_from(FragmentCause), TEXT),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(ANSWERS, st.integers(1, 40))
def test_answers_survive_any_cutting(answers: list[FragmentAnswer], size: int) -> None:
    """What is written as lines is read back, however the bytes are cut."""
    body = b"".join(map(answer_line, answers))
    lines = AnswerLines()
    read = [answer for start in range(0, len(body), size) for answer in lines.feed(body[start : start + size])]
    assert [*read, *lines.close()] == answers


def test_a_line_has_four_properties() -> None:
    """The object is an entry of the plain array with its cause and detail."""
    assert json.loads(answer_line(FragmentAnswer("a", None, FragmentCause.STATUS, "h:1: status 500"))) == {
        "id": "a",
        "renderedHTML": None,
        "cause": "status",
        "detail": "h:1: status 500",
    }
    assert answer_line(FragmentAnswer("a", "é\n")) == (
        '{"id":"a","renderedHTML":"é\\n","cause":null,"detail":""}\n'.encode()
    )


def test_an_answer_comes_with_its_line_feed() -> None:
    """An answer is given the moment its line is complete."""
    line = answer_line(FragmentAnswer("a", "x"))
    lines = AnswerLines()
    assert list(lines.feed(line[:-1])) == []
    assert list(lines.feed(b"\n")) == [FragmentAnswer("a", "x")]
    assert list(lines.close()) == []


def test_the_last_line_needs_no_line_feed() -> None:
    """A body that ends within its last line is read to the end."""
    lines = AnswerLines()
    assert list(lines.feed(answer_line(FragmentAnswer("a", "x"))[:-1])) == []
    assert list(lines.close()) == [FragmentAnswer("a", "x")]


def test_blank_lines_and_other_objects_are_left_out() -> None:
    """Keep-alive blanks and objects without an id are no answers."""
    assert list(AnswerLines().feed(b'\n \r\n{"more":1}\n{"id":"a","renderedHTML":"x"}\r\n')) == [
        FragmentAnswer("a", "x")
    ]


@pytest.mark.parametrize("garbage", [b"garbage\n", b"[1]\n", b"\xff\n", b"[" * 200_000 + b"\n"])
def test_garbage_ends_the_reading(garbage: bytes) -> None:
    """A line that is no object raises, after the answers before it were given."""
    reading = AnswerLines().feed(answer_line(FragmentAnswer("a", "x")) + garbage)
    assert next(reading) == FragmentAnswer("a", "x")
    with pytest.raises(UpstreamError) as caught:
        next(reading)
    assert caught.value.kind is ErrorKind.PROTOCOL


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_an_endless_line_ends_the_reading(end: bytes) -> None:
    """A line of more than 2 MiB raises, whether its end came or not."""
    lines = AnswerLines()
    with pytest.raises(UpstreamError) as caught:
        list(lines.feed(b"x" * (MAX_LINE + 1) + end))
    assert caught.value.kind is ErrorKind.TOO_LARGE


@pytest.mark.parametrize("line", [b"\n", b"{}\n"])
def test_lines_without_end_end_the_reading(line: bytes) -> None:
    """However little they say, only so many lines are read of one body."""
    lines = AnswerLines()
    assert list(lines.feed(line * (MAX_LINES - 1) + answer_line(FragmentAnswer("a", "A")))) == [
        FragmentAnswer("a", "A")
    ]
    with pytest.raises(UpstreamError) as caught:
        list(lines.feed(line))
    assert caught.value.kind is ErrorKind.TOO_LARGE


def test_an_answer_that_fits_no_line_is_refused() -> None:
    """Our own reader takes every line that our own writer makes."""
    line = answer_line(FragmentAnswer("a", '"' * (MAX_LINE // 2)))
    (answer,) = AnswerLines().feed(line)
    assert answer.cause is FragmentCause.TOO_LARGE


def test_details_are_capped_and_sendable() -> None:
    """A detail is one short text, whatever was put into it."""
    (answer,) = AnswerLines().feed(answer_line(FragmentAnswer("a", None, None, "\ud800" + "x" * 1000)))
    assert answer.detail == "?" + "x" * 299


def test_a_drip_stays_linear() -> None:
    """300,000 single bytes without an end are searched once each; searching all of them again would take minutes."""
    lines = AnswerLines()
    started = time.process_time()
    for _ in range(300_000):
        assert not list(lines.feed(b"x"))
    assert time.process_time() - started < 5
