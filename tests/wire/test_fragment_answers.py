"""The answer about fragments as one array."""

import json

import pytest

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause
from hydra_asgi.wire.fragment_answers import (
    MAX_HTML,
    answer_from,
    answers_json,
    checked_answer,
    fit_answers,
    parse_answers,
)
from hydra_asgi.wire.fragments import MEDUSA_LIMIT
from tests.recorded_fragments import recorded


def entry(id_: object, html: object = "<p/>", **more: object) -> dict[str, object]:
    return {"renderedHTML": html, "id": id_, **more}


def read(value: object, *ids: str) -> list[FragmentAnswer]:
    return parse_answers(json.dumps(value).encode(), ids)


def test_a_recorded_answer_is_written_byte_for_byte() -> None:
    """Our array is what the Java Hydra wrote: order of properties, nulls, no blanks."""
    said = recorded("fragments-ask.response").body
    ids = [value["id"] for value in json.loads(said)]
    assert answers_json(parse_answers(said, ids)) == said


def test_good_answers() -> None:
    """Each id gets its HTML, in the order of the questions; an empty string is HTML."""
    assert read([entry("b", ""), entry("a", "é")], "a", "b") == [FragmentAnswer("a", "é"), FragmentAnswer("b", "")]


def test_null_is_a_refusal() -> None:
    """A null or missing renderedHTML means that there is none."""
    assert [(a.html, a.cause) for a in read([entry("a", None), {"id": "b"}], "a", "b")] == [
        (None, FragmentCause.FAILED)
    ] * 2


def test_a_cause_of_our_own_is_kept() -> None:
    """Our nodes say why, and what we do not know yet is a failure."""
    said = [entry("a", None, cause="timeout", detail="late"), entry("b", None, cause="new-thing", detail=7)]
    assert read(said, "a", "b") == [
        FragmentAnswer("a", None, FragmentCause.TIMEOUT, "late"),
        FragmentAnswer("b", None, FragmentCause.FAILED),
    ]


def test_missing_ids_are_broken() -> None:
    """An id without an entry is answered all the same."""
    answer = read([entry("a")], "a", "b")[1]
    assert (answer.html, answer.cause) == (None, FragmentCause.BROKEN)
    assert "no entry" in answer.detail


def test_strange_entries_spoil_only_themselves() -> None:
    """Unknown ids, extra keys, repeated ids and entries of other kinds change nothing for the rest."""
    said = [7, None, {"renderedHTML": "x"}, entry(7), entry("stranger"), entry("a", "1", more=[1]), entry("a", "2")]
    assert read(said, "a") == [FragmentAnswer("a", "1")]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[]", "no entry"),
        (b"<html>Forbidden</html>", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"status":500}', "dict"),
        (b"null", "NoneType"),
    ],
)
def test_no_array_is_a_refusal_of_everything(body: bytes, detail: str) -> None:
    """Whatever came in the place of the array, every id is answered, and the detail says what came."""
    answers = parse_answers(body, ["a", "b"])
    assert [(answer.id, answer.html, answer.cause) for answer in answers] == [
        ("a", None, FragmentCause.BROKEN),
        ("b", None, FragmentCause.BROKEN),
    ]
    assert all(detail in answer.detail for answer in answers)


def test_html_of_another_type_is_broken() -> None:
    """A renderedHTML that is no string is no HTML."""
    assert answer_from(entry("a", 7)) == FragmentAnswer(
        "a", None, FragmentCause.BROKEN, "renderedHTML is int, not a string"
    )


def test_html_that_cannot_be_sent_is_broken() -> None:
    """A lone surrogate would break the page's own encoding later."""
    assert parse_answers(b'[{"id":"a","renderedHTML":"\\ud800"}]', ["a"])[0].cause is FragmentCause.BROKEN


def test_large_html_is_refused() -> None:
    """A fragment of more than 2 MiB counts as too large, by bytes."""
    fits = FragmentAnswer("a", "x" * MAX_HTML)
    assert checked_answer(fits) is fits
    assert checked_answer(FragmentAnswer("a", "é" * (MAX_HTML // 2 + 1))).cause is FragmentCause.TOO_LARGE


def test_the_largest_fragments_give_way() -> None:
    """An array beyond the limit loses its largest fragments, one by one, and keeps the others."""
    answers = [FragmentAnswer("a", "x" * 200_000), FragmentAnswer("b", "y" * 100_000), FragmentAnswer("c", "z")]
    assert [answer.html is not None for answer in fit_answers(answers)] == [False, True, True]
    body = answers_json(answers)
    assert len(body) <= MEDUSA_LIMIT
    assert [value["renderedHTML"] is None for value in json.loads(body)] == [True, False, False]


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_is_exact(over: int) -> None:
    """An array of exactly the limit goes out whole."""
    frame = len(answers_json([FragmentAnswer("a", "")]))
    answers = [FragmentAnswer("a", "x" * (MEDUSA_LIMIT - frame + over))]
    assert (fit_answers(answers)[0].html is None) is bool(over)
    assert len(answers_json(answers)) == (MEDUSA_LIMIT if not over else len(answers_json([FragmentAnswer("a", None)])))


def test_two_hundred_of_the_longest_ids_fit() -> None:
    """Nothing but nulls always fits, for as many and as long ids as a question may hold."""
    answers = [FragmentAnswer(f"{number:03}" + "\U0001f600" * 253, None) for number in range(200)]
    assert len(answers_json(answers)) <= MEDUSA_LIMIT
    assert fit_answers(answers, 10) == answers
