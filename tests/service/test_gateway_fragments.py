"""Fragments by way of a gateway."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from hydra_asgi.core.binding import parse_bindings
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest
from hydra_asgi.service.gateway_fragments import GatewayFragments
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream
from hydra_asgi.wire.answer_lines import answer_line
from hydra_asgi.wire.asking_terms import AskingTerms
from hydra_asgi.wire.fragments import parse_ask
from tests.recorded_fragments import recorded

FIRST, SECOND = Address("http", "10.0.0.1", 8000), Address("http", "10.0.0.2", 8000, "/app")
REFUSED = UpstreamError(ErrorKind.CONNECT_REFUSED)


def question(id_: str = "a", imports: str = "") -> FragmentQuestion:
    return FragmentQuestion(id_, "two", "r", parse_bindings(imports))


def lines(*answers: FragmentAnswer) -> FakeResponse:
    return FakeResponse(body=b"".join(map(answer_line, answers)), content_type=b"application/x-ndjson")


def source(upstream: FakeUpstream, *gateways: Address, **options: Any) -> GatewayFragments:
    return GatewayFragments(lambda: gateways, upstream, AskingTerms(key=lambda: "k-public", **options))


def page(seconds: float = 30, **parts: Any) -> PageContext:
    return PageContext(asyncio.get_running_loop().time() + seconds, **parts)


async def ask(
    fragments: GatewayFragments,
    questions: Sequence[FragmentQuestion] = (question(),),
    context: PageContext | None = None,
) -> dict[str, FragmentAnswer]:
    """Ask, check that each id is answered once, and give the answers by id."""
    answers = [answer async for answer in fragments.ask("two", questions, context or page())]
    assert sorted(answer.id for answer in answers) == sorted(question.id for question in questions)
    return {answer.id: answer for answer in answers}


async def test_the_gateway_is_asked_as_a_java_one_would_be() -> None:
    """The question is C3 with the imported attributes only, signed, and reads as JSON first."""
    upstream = FakeUpstream(lines(FragmentAnswer("a", "A")))
    fragments = source(
        upstream,
        SECOND,
        sign=lambda method, path, body: [(b"hydra-signature", f"{method} {path} {len(body)}".encode())],
        forward={"two": ["x-tenant"]},
    )
    context = page(
        headers=((b"cookie", b"c=1"), (b"x-tenant", b"t")), attributes={"dob": 1, "secret": 2}, key="u1", depth=1
    )
    assert (await ask(fragments, [question(imports="dob")], context))["a"].html == "A"
    (request,) = upstream.requests
    assert isinstance(request.body, bytes)
    assert (request.address, request.method) == (SECOND, "POST")
    assert request.target == b"/app/h/discovery/k-public/requestFragment"
    assert request.headers == [
        (b"host", b"10.0.0.2:8000"),
        (b"accept", b"application/json, application/x-ndjson"),
        (b"accept-encoding", b"identity"),
        (b"content-type", b"application/json"),
        (b"hydra-key", b"u1"),
        (b"hydra-signature", f"POST /app/h/discovery/k-public/requestFragment {len(request.body)}".encode()),
    ]
    asked = parse_ask(request.body)
    assert asked.attributes == {"dob": 1}
    assert asked.requests == {"two": (question(imports="dob"),)}
    assert asked.headers == ((b"x-tenant", b"t"),)
    assert (asked.key, asked.depth) == ("u1", 1)
    assert asked.budget is not None
    assert 29 < asked.budget <= 30


async def test_answers_stream() -> None:
    """What our gateway knows already does not wait for what it does not."""
    gate = asyncio.Event()
    body = [answer_line(FragmentAnswer("a", "A")), gate.wait(), answer_line(FragmentAnswer("b", "B"))]
    upstream = FakeUpstream(FakeResponse(body=body, content_type=b"application/x-ndjson"))
    answers = source(upstream, FIRST).ask("two", [question("a"), question("b")], page())
    assert await anext(answers) == FragmentAnswer("a", "A")
    gate.set()
    assert [answer async for answer in answers] == [FragmentAnswer("b", "B")]


async def test_closing_leaves_nothing_open() -> None:
    """Whoever stops reading closes the response."""
    upstream = FakeUpstream(lines(FragmentAnswer("a", "A"), FragmentAnswer("b", "B")))
    answers = source(upstream, FIRST).ask("two", [question("a"), question("b")], page())
    await anext(answers)
    await answers.aclose()
    assert upstream.open_responses == 0


async def test_a_recorded_java_hydra_answers() -> None:
    """The recorded array of a Java Hydra gives the HTML, and its null the fallback."""
    message = recorded("fragments-ask.response")
    refused, rendered = [entry["id"] for entry in json.loads(message.body)]
    upstream = FakeUpstream(FakeResponse(message.status, message.body, content_type=b"", headers=message.headers))
    answers = await ask(source(upstream, FIRST), [question(refused), question(rendered)])
    assert "Greetings from two" in str(answers[rendered].html)
    assert answers[refused] == FragmentAnswer(refused, None, FragmentCause.FAILED, "10.0.0.1:8000: answered null")


@pytest.mark.parametrize("name", ["fragments-ask-service-refused.response", "fragments-ask-empty.response"])
async def test_a_java_hydra_in_trouble_is_a_fallback(name: str) -> None:
    """Its 500 and its empty answer become causes for every fragment, and nobody else is asked."""
    message = recorded(name)
    upstream = FakeUpstream(FakeResponse(message.status, message.body, content_type=b"", headers=message.headers))
    answers = await ask(source(upstream, FIRST, SECOND), [question("a"), question("b")])
    assert all(answer.html is None and answer.detail.startswith("10.0.0.1:8000: ") for answer in answers.values())
    assert len(upstream.requests) == 1


async def test_a_gateway_that_leaves_out_an_id() -> None:
    """An id that the gateway did not answer is answered here."""
    upstream = FakeUpstream(lines(FragmentAnswer("a", "A")))
    answers = await ask(source(upstream, FIRST), [question("a"), question("b")])
    assert answers["b"] == FragmentAnswer("b", None, FragmentCause.BROKEN, "10.0.0.1:8000: no answer to this fragment")


async def test_gateways_are_tried_in_turn() -> None:
    """A gateway that cannot be reached is passed over, for as many as there are."""
    upstream = FakeUpstream(REFUSED, lines(FragmentAnswer("a", "A")))
    assert (await ask(source(upstream, FIRST, SECOND)))["a"].html == "A"
    assert [request.address for request in upstream.requests] == [FIRST, SECOND]

    upstream = FakeUpstream(REFUSED)
    answers = await ask(source(upstream, FIRST, SECOND))
    assert answers["a"] == FragmentAnswer("a", None, FragmentCause.REFUSED, "10.0.0.2:8000: connect-refused")


async def test_the_budget_is_shared_by_the_gateways() -> None:
    """Each gateway that is left may use its share of what is left for connecting."""
    upstream = FakeUpstream(REFUSED)
    fragments = source(upstream, FIRST, SECOND, clock=lambda: 10.0)
    await ask(fragments, context=PageContext(deadline=10.5))
    assert [request.timeouts.connect for request in upstream.requests] == [0.25, 0.5]


async def test_a_broken_answer_is_not_asked_for_again() -> None:
    """A gateway that took the question is the only one that gets it."""
    upstream = FakeUpstream(UpstreamError(ErrorKind.RESET))
    assert (await ask(source(upstream, FIRST, SECOND)))["a"].cause is FragmentCause.BROKEN
    assert len(upstream.requests) == 1


async def test_without_a_gateway_nothing_is_available() -> None:
    """A node that knows no gateway says so."""
    answers = await ask(source(FakeUpstream(REFUSED)))
    assert answers["a"] == FragmentAnswer("a", None, FragmentCause.UNAVAILABLE, "no gateway is known")


async def test_the_deadline_holds() -> None:
    """A gateway that hangs is a timeout, and after the deadline none is asked."""

    async def hang(request: UpstreamRequest) -> FakeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    upstream = FakeUpstream(hang)
    assert (await ask(source(upstream, FIRST, SECOND), context=page(0.02)))["a"].cause is FragmentCause.TIMEOUT
    assert (await ask(source(upstream, FIRST), context=page(-1)))["a"].cause is FragmentCause.TIMEOUT
    assert len(upstream.requests) == 1


async def test_an_attribute_without_a_form_is_said() -> None:
    """A page attribute that JSON cannot hold costs the fragments that import it."""
    upstream = FakeUpstream(lines())
    context = page(attributes={"bad": object()})
    assert (await ask(source(upstream, FIRST), [question(imports="bad")], context))["a"].cause is FragmentCause.FAILED
    assert upstream.requests == []
