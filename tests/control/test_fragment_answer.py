"""How a call about fragments is answered."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hydra_asgi.control.fragment_answer import FragmentCall, unless_gone
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion
from hydra_asgi.wire.answer_lines import AnswerLines
from hydra_asgi.wire.fragments import MEDUSA_LIMIT

A, B = FragmentQuestion("a", "two", "ra"), FragmentQuestion("b", "two", "rb")


async def giving(*items: FragmentAnswer | asyncio.Event) -> AsyncIterator[FragmentAnswer]:
    for item in items:
        if isinstance(item, asyncio.Event):
            await item.wait()
        else:
            yield item


def call(*items: FragmentAnswer | asyncio.Event, seconds: float = 30) -> FragmentCall:
    now = asyncio.get_running_loop().time()
    return FragmentCall([A, B], giving(*items), now + seconds, now - 0.25, lambda: now)


class Sent:
    """Records what was sent."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def __call__(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])


async def test_the_array_has_the_order_of_the_questions() -> None:
    """The array is whole, JSON, uncached, and in the order of the questions."""
    sent = Sent()
    await call(FragmentAnswer("b", "B"), FragmentAnswer("a", "A")).send_array(sent)
    assert sent.body == b'[{"renderedHTML":"A","id":"a"},{"renderedHTML":"B","id":"b"}]'
    assert sent.messages[0]["status"] == 200
    assert sent.headers[b"content-type"] == b"application/json"
    assert sent.headers[b"content-length"] == b"%d" % len(sent.body)
    assert sent.headers[b"cache-control"] == b"no-store"


async def test_lines_leave_one_by_one(eventually: Callable[..., Any]) -> None:
    """The head leaves at once, and each answer the moment it is there."""
    gate, sent = asyncio.Event(), Sent()
    task = asyncio.create_task(call(FragmentAnswer("b", "B"), gate, FragmentAnswer("a", "A")).send_lines(sent))
    await eventually(lambda: len(sent.messages) == 2)
    assert sent.headers[b"content-type"] == b"application/x-ndjson"
    assert list(AnswerLines().feed(sent.body)) == [FragmentAnswer("b", "B")]
    gate.set()
    await task
    assert list(AnswerLines().feed(sent.body)) == [FragmentAnswer("b", "B"), FragmentAnswer("a", "A")]
    assert [message.get("more_body") for message in sent.messages[1:]] == [True, True, False]


@pytest.mark.parametrize("form", ["send_array", "send_lines"])
async def test_the_deadline_answers_what_is_late(form: str) -> None:
    """At the deadline every id that is open is refused, and the answers that came stand."""
    sent = Sent()
    await getattr(call(FragmentAnswer("b", "B"), asyncio.Event(), seconds=0.02), form)(sent)
    answered = json.loads(sent.body) if form == "send_array" else [json.loads(line) for line in sent.body.splitlines()]
    assert {entry["id"]: entry["renderedHTML"] for entry in answered} == {"a": None, "b": "B"}


async def test_gaps_strangers_and_repeats_are_settled() -> None:
    """Exactly the ids that were asked for are answered, each once."""
    sent = Sent()
    await call(FragmentAnswer("b", "B"), FragmentAnswer("x", "X"), FragmentAnswer("b", "again")).send_array(sent)
    assert json.loads(sent.body) == [{"renderedHTML": None, "id": "a"}, {"renderedHTML": "B", "id": "b"}]


async def test_a_complete_answer_waits_for_nothing() -> None:
    """When every id is answered the source is closed, whatever it is still doing."""
    sent = Sent()
    await call(FragmentAnswer("b", "B"), FragmentAnswer("a", "A"), asyncio.Event()).send_array(sent)
    assert len(json.loads(sent.body)) == 2


async def test_the_array_fits_a_java_peer(caplog: pytest.LogCaptureFixture) -> None:
    """A fragment that is too large for a Java peer is refused and logged; the other stays."""
    sent = Sent()
    await call(FragmentAnswer("a", "A"), FragmentAnswer("b", "x" * MEDUSA_LIMIT)).send_array(sent)
    assert len(sent.body) <= MEDUSA_LIMIT
    assert [entry["renderedHTML"] for entry in json.loads(sent.body)] == ["A", None]
    assert "too-large" in caplog.text


@pytest.mark.parametrize("form", ["send_array", "send_lines"])
async def test_a_failed_fragment_is_logged_once(form: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log names service, ref, cause, duration and detail, on one line whatever a peer put into it."""
    refused = FragmentAnswer("a", None, FragmentCause.STATUS, "h:1: status 500\r\nforged line")
    with caplog.at_level(logging.INFO, "hydra_asgi.fragments"):
        await getattr(call(refused, FragmentAnswer("b", "B")), form)(Sent())
    assert [record.getMessage() for record in caplog.records] == [
        "fragment 'ra' of service 'two' was not rendered: status after 0.250 s: 'h:1: status 500\\r\\nforged line'"
    ]


async def test_work_is_done_while_the_caller_waits() -> None:
    """Work ends as it ends: with its effect, or with its own error; nothing is left running."""
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    async def fail() -> None:
        raise KeyError

    async def receive() -> Any:
        await asyncio.Event().wait()

    await unless_gone(receive, work())
    with pytest.raises(KeyError):
        await unless_gone(receive, fail())
    assert done == [1]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_work_ends_when_the_caller_hangs_up() -> None:
    """A caller that hangs up ends the work; other messages do not."""
    ended: list[str] = []
    messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def receive() -> Any:
        await asyncio.sleep(0)
        return next(messages)

    await unless_gone(receive, work())
    assert ended == ["ended"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
