"""The answers of one peer as they arrive."""

import asyncio

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause
from hydra_asgi.errors import UpstreamError
from hydra_asgi.testing.fake_upstream import FakeResponse
from hydra_asgi.wire.answer_lines import answer_line
from hydra_asgi.wire.answer_stream import read_answers
from hydra_asgi.wire.fragment_answers import answers_json
from hydra_asgi.wire.iterators import closed
from hydra_asgi.wire.peer_failure import PeerFailedError

A, B = FragmentAnswer("a", "A"), FragmentAnswer("b", "B")
LINES = b"application/x-ndjson"


def soon(seconds: float = 30) -> float:
    return asyncio.get_running_loop().time() + seconds


def sends(response: FakeResponse | UpstreamError):  # type: ignore[no-untyped-def]
    async def send() -> FakeResponse:
        if isinstance(response, UpstreamError):
            raise response
        response.is_open = True
        return response

    return send


async def test_lines_arrive_while_the_peer_goes_on() -> None:
    """An answer is given before the peer has the next one."""
    gate = asyncio.Event()
    response = FakeResponse(body=[answer_line(A), gate.wait(), answer_line(B)], content_type=LINES)
    async with closed(read_answers(sends(response), ["a", "b"], soon())) as answers:
        assert await anext(answers) == A
        gate.set()
        assert [answer async for answer in answers] == [B]
    assert not response.is_open


@pytest.mark.parametrize("lines", [True, False])
async def test_strangers_and_repeats_are_left_out(lines: bool) -> None:
    """Only ids that were asked for are answered, each once."""
    said = [A, FragmentAnswer("stranger", "x"), FragmentAnswer("a", "again")]
    body = b"".join(map(answer_line, said)) if lines else answers_json(said)
    response = FakeResponse(body=body, content_type=LINES if lines else b"application/json")
    assert [answer async for answer in read_answers(sends(response), ["a"], soon())] == [A]


@pytest.mark.parametrize("before", [b"", answer_line(A)])
async def test_the_last_line_may_lack_its_end(before: bytes) -> None:
    """What stands behind the last line feed is an answer too, unless its id has been answered."""
    response = FakeResponse(body=before + answer_line(A)[:-1], content_type=LINES)
    assert [answer async for answer in read_answers(sends(response), ["a"], soon())] == [A]


async def test_closing_closes_the_response() -> None:
    """Whoever stops reading leaves no response open."""
    response = FakeResponse(body=[answer_line(A), answer_line(B)], content_type=LINES)
    answers = read_answers(sends(response), ["a", "b"], soon())
    await anext(answers)
    assert response.is_open
    await answers.aclose()
    assert not response.is_open


async def test_the_deadline_ends_the_waiting_for_the_head() -> None:
    """A peer that says nothing is a timeout."""

    async def send() -> FakeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(PeerFailedError, match="0 of 1 answers within the budget") as caught:
        [answer async for answer in read_answers(send, ["a"], soon(0.01))]
    assert caught.value.cause is FragmentCause.TIMEOUT


async def test_the_deadline_ends_the_waiting_for_the_body() -> None:
    """A peer that hangs after its first answer is a timeout, and that answer stands."""
    response = FakeResponse(body=[answer_line(A), asyncio.Event().wait()], content_type=LINES)
    answers = read_answers(sends(response), ["a", "b"], soon(0.05))
    assert await anext(answers) == A
    with pytest.raises(PeerFailedError, match="1 of 2 answers"):
        await anext(answers)
    assert not response.is_open


async def test_the_deadline_does_not_reach_into_the_reader() -> None:
    """A reader that takes longer than the deadline between two answers is not cancelled."""
    response = FakeResponse(body=answer_line(A) + answer_line(B), content_type=LINES)
    answers = read_answers(sends(response), ["a", "b"], soon(0.02))
    assert await anext(answers) == A
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, passed.set)
    await passed.wait()
    assert await anext(answers) == B
    await answers.aclose()


async def test_a_cut_body_is_said() -> None:
    """A body that breaks off gives what came before and then the reason."""
    response = FakeResponse(body=[answer_line(A), UpstreamError(ErrorKind.TRUNCATED)], content_type=LINES)
    answers = read_answers(sends(response), ["a", "b"], soon())
    assert await anext(answers) == A
    with pytest.raises(PeerFailedError) as caught:
        await anext(answers)
    assert caught.value.cause is FragmentCause.BROKEN


async def test_a_failed_request_is_said() -> None:
    """A peer that cannot be reached was not touched."""
    with pytest.raises(PeerFailedError) as caught:
        [answer async for answer in read_answers(sends(UpstreamError(ErrorKind.CONNECT_REFUSED)), ["a"], soon())]
    assert caught.value.cause is FragmentCause.REFUSED
    assert caught.value.untouched


async def test_another_head_closes_the_response() -> None:
    """A response that is not read is closed all the same."""
    response = FakeResponse(500)
    with pytest.raises(PeerFailedError):
        [answer async for answer in read_answers(sends(response), ["a"], soon())]
    assert not response.is_open
