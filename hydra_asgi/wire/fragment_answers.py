"""The answer to C3 and C4 as one JSON array (CONTRACT.md 2.4), the form every Java peer reads and writes."""

import json
from collections.abc import Iterable, Sequence

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause
from hydra_asgi.core.fragments.fragment_tally import AnswerTally
from hydra_asgi.wire.fragments import MEDUSA_LIMIT
from hydra_asgi.wire.strict_json import dump_json

__all__ = ["MAX_DETAIL", "MAX_HTML", "answer_from", "answers_json", "checked_answer", "fit_answers", "parse_answers"]

MAX_HTML = 2_097_152
"""Bytes of one fragment. A page of that size is large; a part of a page of that size is a mistake or an attack."""

MAX_DETAIL = 300
"""Characters of a detail; it is one line in a log."""


def answers_json(answers: Iterable[FragmentAnswer], limit: int = MEDUSA_LIMIT) -> bytes:
    """Write the array; the largest fragments become null rather than that it is longer than `limit` bytes."""
    return b"[" + b",".join(map(_entry, fit_answers(answers, limit))) + b"]"


def fit_answers(answers: Iterable[FragmentAnswer], limit: int = MEDUSA_LIMIT) -> list[FragmentAnswer]:
    """The same answers, but the largest ones refused as TOO_LARGE until the array fits into `limit` bytes.

    A Java peer drops the whole answer when it is longer (CONTRACT.md section 6, row 34), so one large fragment would
    cost the page all the others.
    """
    fitted = [checked_answer(answer) for answer in answers]
    sizes = [len(_entry(answer)) + 1 for answer in fitted]
    total = sum(sizes) + 1
    for index in sorted(range(len(fitted)), key=sizes.__getitem__, reverse=True):
        if total <= limit:
            break
        if fitted[index].html is not None:
            detail = f"{sizes[index]} bytes of JSON do not fit into an answer of {limit} bytes"
            fitted[index] = FragmentAnswer(fitted[index].id, None, FragmentCause.TOO_LARGE, detail)
            total += len(_entry(fitted[index])) + 1 - sizes[index]
    return fitted


def parse_answers(body: bytes, ids: Sequence[str]) -> list[FragmentAnswer]:
    """Read the array, whatever came: one answer per id, in the order of `ids`.

    Missing ids, and all of them when this is no array, are BROKEN; unknown and repeated ones are left out.
    """
    entries, problem = _entries(body)
    tally = AnswerTally(dict.fromkeys(ids))
    read = (answer_from(entry) for entry in entries)
    taken = {answer.id: answer for answer in read if answer is not None and tally.take(answer) is not None}
    taken.update((answer.id, answer) for answer in tally.give_up(FragmentCause.BROKEN, problem))
    return [taken[id_] for id_ in dict.fromkeys(ids)]


def answer_from(value: object) -> FragmentAnswer | None:
    """One object of either dialect as an answer; None when it names no id."""
    if not isinstance(value, dict) or not isinstance(id_ := value.get("id"), str):
        return None
    html = value.get("renderedHTML")
    if html is None:
        cause, detail = value.get("cause"), value.get("detail")
        return FragmentAnswer(id_, None, _cause(cause), detail[:MAX_DETAIL] if isinstance(detail, str) else "")
    if not isinstance(html, str):
        return FragmentAnswer(id_, None, FragmentCause.BROKEN, f"renderedHTML is {type(html).__name__}, not a string")
    return checked_answer(FragmentAnswer(id_, html))


def checked_answer(answer: FragmentAnswer) -> FragmentAnswer:
    """The answer, or its refusal when its HTML is larger than `MAX_HTML` or cannot be sent as UTF-8."""
    if answer.html is None:
        return answer
    try:
        size = len(answer.html.encode())
    except UnicodeEncodeError:
        return FragmentAnswer(answer.id, None, FragmentCause.BROKEN, "the HTML holds a lone surrogate")
    if size <= MAX_HTML:
        return answer
    return FragmentAnswer(answer.id, None, FragmentCause.TOO_LARGE, f"{size} bytes of HTML, at most {MAX_HTML} go")


def _entries(body: bytes) -> tuple[list[object], str]:
    """The array's entries, and what to say about an id that is not among them."""
    if not body.strip():
        return [], "the answer is empty"
    try:
        # Java peers pass on what services say, so this is read leniently: a strange entry spoils only itself.
        value = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        return [], f"the answer is not JSON: {str(error)[:100]}"
    if not isinstance(value, list):
        return [], f"the answer is a JSON {type(value).__name__}, not an array"
    return value, "the answer has no entry for this id"


def _cause(value: object) -> FragmentCause:
    """Why a peer has no HTML; Java peers do not say, and a newer node may say what we do not know yet."""
    try:
        return FragmentCause(value)  # type: ignore[arg-type]  # whatever came; an unknown value raises
    except ValueError:
        return FragmentCause.FAILED


def _entry(answer: FragmentAnswer) -> bytes:
    return dump_json({"renderedHTML": answer.html, "id": answer.id})
