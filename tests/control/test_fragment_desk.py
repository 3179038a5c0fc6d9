"""The two calls about fragments."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from hydra_asgi.control.fragment_desk import AskDesk, RenderDesk
from hydra_asgi.control.guard import Guard
from hydra_asgi.core.binding import parse_bindings
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import RefusedError
from hydra_asgi.gateway.fragments import InstanceFragments
from hydra_asgi.service.gateway_fragments import GatewayFragments
from hydra_asgi.service.signer import Signer
from hydra_asgi.testing.asgi_upstream import AsgiUpstream
from hydra_asgi.wire.answer_lines import AnswerLines
from hydra_asgi.wire.asking_terms import AskingTerms
from hydra_asgi.wire.fragments import Ask, Render, ask_json, render_json
from tests.exchange import Exchange, exchange, http_scope
from tests.recorded_fragments import recorded

LINES = (b"accept", b"application/json, application/x-ndjson")
TRACE = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


class Source:
    """A source that answers from a dictionary and remembers what it was asked, and under which conditions."""

    def __init__(self, answers: Mapping[tuple[str, str], str | FragmentCause | BaseException | asyncio.Event]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, list[FragmentQuestion]]] = []
        self.pages: list[PageContext] = []
        self.closed = 0
        self.was_asked = asyncio.Event()

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        self.asked.append((service, list(questions)))
        self.pages.append(page)
        self.was_asked.set()
        try:
            for question in questions:
                answer = self.answers.get((service, question.ref), FragmentCause.UNKNOWN_REF)
                if isinstance(answer, BaseException):
                    raise answer
                if isinstance(answer, asyncio.Event):
                    await answer.wait()
                elif isinstance(answer, FragmentCause):
                    yield FragmentAnswer(question.id, None, answer)
                else:
                    yield FragmentAnswer(question.id, answer)
        finally:
            self.closed += 1


def guard(**options: Any) -> Guard:
    return Guard(key="k-public", secret="s", accept_unsigned=["127.0.0.0/8"], **options)


def asks(**requests: list[tuple[str, str]]) -> bytes:
    """A C3 body: service -> (id, ref) pairs, without import lists, as a Medusa sends it."""
    groups = {
        service: tuple(FragmentQuestion(id_, service, ref, None) for id_, ref in pairs)
        for service, pairs in requests.items()
    }
    return ask_json(Ask({"customer": "Ann"}, groups))


def renders(*pairs: tuple[str, str]) -> bytes:
    return render_json(Render({"customer": "Ann"}, tuple(FragmentQuestion(id_, "", ref) for id_, ref in pairs)))


async def post(
    desk: Any,
    body: bytes,
    *headers: tuple[bytes, bytes],
    path: str = "/h/x/k-public/requestFragment",
    **options: Any,
) -> Exchange:
    scope = http_scope(path, method="POST", headers=[(b"host", b"h:1"), *headers])
    result = await exchange(desk, scope, body, **options)
    assert result.complete
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return result


def html(result: Exchange) -> list[tuple[str, str | None]]:
    assert (result.status, result.header(b"content-type")) == (200, b"application/json")
    return [(entry["id"], entry["renderedHTML"]) for entry in json.loads(result.body)]


# -- C3


async def test_a_recorded_medusa_gets_exactly_its_answer() -> None:
    """The recorded question of a Medusa gets, byte for byte, what the Java Hydra answered."""
    question, said = recorded("fragments-ask.request"), recorded("fragments-ask.response")
    two = json.loads(said.body)[1]["renderedHTML"]
    source = Source({("absent", "nothing"): FragmentCause.UNKNOWN_SERVICE, ("two", "two_hello"): two})
    result = await post(AskDesk(source, guard()), question.body, *question.headers)
    assert result.body == said.body
    assert html(result)[0][1] is None
    assert result.header(b"content-type") == b"application/json"
    assert [page.attributes for page in source.pages] == [{"total": 3, "customer": "Ann"}] * 2
    assert all(question.imports is None for _, questions in source.asked for question in questions)


async def test_a_failing_service_costs_only_its_own_fragments() -> None:
    """Where the recorded Java Hydra said 500, we answer 200 with a null."""
    assert recorded("fragments-ask-service-refused.response").status == 500
    source = Source({("two", "two_hello"): FragmentCause.REFUSED})
    result = await post(AskDesk(source, guard()), recorded("fragments-ask-service-refused.request").body)
    assert [value for _, value in html(result)] == [None, None]


async def test_nothing_asked_is_an_empty_array() -> None:
    """Where the recorded Java Hydra sent an empty body, we send an array."""
    result = await post(AskDesk(Source({}), guard()), recorded("fragments-ask-empty.request").body)
    assert html(result) == []
    assert html(await post(AskDesk(Source({}), guard()), asks(two=[]))) == []
    source = Source({("three", "r"): "R"})
    assert html(await post(AskDesk(source, guard()), asks(two=[], three=[("1", "r")]))) == [("1", "R")]
    assert [service for service, _ in source.asked] == ["three"]


async def test_services_are_asked_at_the_same_time() -> None:
    """A service that hangs holds nobody, and the call ends within its budget."""
    source = Source({("slow", "r"): asyncio.Event(), ("two", "r"): "two"})
    loop = asyncio.get_running_loop()
    started = loop.time()
    result = await post(AskDesk(source, guard(), budget=0.1), asks(slow=[("1", "r")], two=[("2", "r")]))
    assert html(result) == [("1", None), ("2", "two")]
    assert loop.time() - started < 1
    assert source.closed == 2


async def test_one_id_under_two_services_is_one_entry() -> None:
    """An id that was asked of two services is answered once, by the one that has HTML."""
    source = Source({("two", "r"): "two"})
    assert html(await post(AskDesk(source, guard()), asks(one=[("x", "r")], two=[("x", "r")]))) == [("x", "two")]


async def test_the_same_ids_again() -> None:
    """A Medusa sends the same ids with every request, twice a page; each call is answered."""
    desk = AskDesk(Source({("two", "r"): "two"}), guard())
    assert await asyncio.gather(*(exchange(desk, http_scope(method="POST"), asks(two=[("x", "r")])) for _ in range(2)))
    assert html(await post(desk, asks(two=[("x", "r")]))) == [("x", "two")]


async def test_large_fallbacks_do_no_harm() -> None:
    """400 KB of fallbacks are taken, and the answer does not repeat them."""
    question = FragmentQuestion("x", "two", "r", None, fallback="f" * 400_000)
    result = await post(AskDesk(Source({}), guard()), ask_json(Ask({}, {"two": (question,)})))
    assert html(result) == [("x", None)]


async def test_our_own_nodes_get_lines() -> None:
    """Who accepts NDJSON gets it, with the causes."""
    source = Source({("two", "r"): "two"})
    result = await post(AskDesk(source, guard()), asks(two=[("1", "r"), ("2", "other")]), LINES)
    assert result.header(b"content-type") == b"application/x-ndjson"
    assert list(AnswerLines().feed(result.body)) == [
        FragmentAnswer("1", "two"),
        FragmentAnswer("2", None, FragmentCause.UNKNOWN_REF),
    ]


async def test_lines_do_not_wait_for_each_other() -> None:
    """A fast service's line leaves while a slow service has not answered."""
    gate = asyncio.Event()
    source = Source({("slow", "r"): gate, ("two", "r"): "two"})

    def on_send(message: dict[str, Any]) -> None:
        if b"two" in message.get("body", b""):
            gate.set()

    result = await post(AskDesk(source, guard()), asks(slow=[("1", "r")], two=[("2", "r")]), LINES, on_send=on_send)
    assert [answer.id for answer in AnswerLines().feed(result.body)] == ["2", "1"]


async def test_what_the_asker_lends_reaches_the_source() -> None:
    """Headers, key, depth and the smaller budget of the asker make the page."""
    asked = Ask({"dob": 1}, {"two": (FragmentQuestion("x", "two", "r"),)}, ((b"x-a", b"1"),), "u1", 2, 0.5)
    source = Source({})
    await post(AskDesk(source, guard(), clock=lambda: 1e9), ask_json(asked))
    (page,) = source.pages
    assert (page.headers, page.attributes, page.key, page.depth) == (((b"x-a", b"1"),), {"dob": 1}, "u1", 2)
    assert page.deadline == pytest.approx(1e9 + 0.45)
    await post(AskDesk(source, guard(), budget=0.2, clock=lambda: 1e9), ask_json(asked))
    assert source.pages[1].deadline == pytest.approx(1e9 + 0.18)


async def test_a_java_peer_lends_language_and_trace() -> None:
    """Of the fields of a Java peer's own request only language and trace are taken for the page."""
    source = Source({})
    headers = [(b"Accept-Language", b"nl"), (b"cookie", b"a=1"), TRACE]
    await post(AskDesk(source, guard()), recorded("fragments-ask.request").body, *headers)
    assert source.pages[0].headers == ((b"accept-language", b"nl"), TRACE)


async def test_a_service_without_a_name_is_nobody() -> None:
    """A question to nobody is refused, and never taken for the gateway's own app."""
    source = Source({("", "r"): "own"})
    result = await post(AskDesk(source, guard()), json.dumps({"requests": {"": [{"id": "x", "ref": "r"}]}}).encode())
    assert html(result) == [("x", None)]
    assert source.asked == []


async def test_a_source_that_raises_costs_its_own_fragments(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a source is logged with its traceback; the other service's fragments are answered."""
    source = Source({("bad", "r"): KeyError("bug"), ("two", "r"): "two"})
    assert html(await post(AskDesk(source, guard()), asks(bad=[("1", "r")], two=[("2", "r")]))) == [
        ("1", None),
        ("2", "two"),
    ]
    assert any(record.exc_info for record in caplog.records)


async def test_a_caller_that_hangs_up_cancels_the_asking() -> None:
    """When the caller is gone nothing is rendered for it any more."""
    source = Source({("two", "r"): asyncio.Event()})
    messages = [{"type": "http.request", "body": asks(two=[("x", "r")])}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        if len(messages) == 1:
            await source.was_asked.wait()
        return messages.pop(0)

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await AskDesk(source, guard())(http_scope(method="POST"), receive, send)  # type: ignore[arg-type]
    assert sent == []
    assert source.closed == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


# -- C4


async def test_a_recorded_java_hydra_gets_its_answer() -> None:
    """The recorded question of a Java Hydra gets, byte for byte, what the Medusa answered."""
    question, said = recorded("fragments-render.request"), recorded("fragments-render.response")
    source = Source({("two", "two_hello"): json.loads(said.body)[0]["renderedHTML"]})
    result = await post(RenderDesk(source, guard(), service="two"), question.body, *question.headers)
    assert result.body == said.body


async def test_an_unknown_ref_is_null() -> None:
    """Where a Medusa fails the whole batch, we answer null for the one that is not there."""
    source = Source({("one", "one_hello"): "hello"})
    result = await post(
        RenderDesk(source, guard(), service="one"), recorded("fragments-render-unknown-ref.request").body
    )
    assert html(result) == [("x", "hello"), ("y", None)]


async def test_null_attributes_and_no_questions_are_answered() -> None:
    """A body that a Medusa accepts is accepted, and nothing asked is an empty array."""
    source = Source({("one", "one_hello"): "hello"})
    desk = RenderDesk(source, guard(), service="one")
    assert html(await post(desk, recorded("fragments-render-attributes-null.request").body)) == [("x", "hello")]
    assert html(await post(desk, recorded("fragments-render-wrong-key.request").body)) == []


async def test_rendering_streams_to_our_own_nodes() -> None:
    """A gateway of ours gets lines."""
    result = await post(RenderDesk(Source({("", "r"): "R"}), guard()), renders(("1", "r")), LINES)
    assert list(AnswerLines().feed(result.body)) == [FragmentAnswer("1", "R")]


async def test_rendering_keeps_the_budget() -> None:
    """A fragment that hangs is null at the end of the budget."""
    source = Source({("", "r"): asyncio.Event()})
    assert html(await post(RenderDesk(source, guard(), budget=0.05), renders(("1", "r")))) == [("1", None)]


# -- both


@pytest.mark.parametrize("desk", [AskDesk, RenderDesk])
@pytest.mark.parametrize(
    ("body", "status"),
    [(b"nonsense", 400), (b"{}", 422), (b" " * 1_048_577, 413), (b'{"requests":7}', 422), (b"[" * 200_000, 400)],
)
async def test_bad_bodies_are_refused(desk: Any, body: bytes, status: int) -> None:
    """A body that is no question is refused with a reason, before anybody is asked."""
    source = Source({})
    with pytest.raises(RefusedError) as caught:
        await exchange(desk(source, guard()), http_scope(method="POST"), body)
    assert caught.value.status == status
    assert source.asked == []


@pytest.mark.parametrize("desk", [AskDesk, RenderDesk])
async def test_the_guard_comes_first(desk: Any) -> None:
    """A stranger learns nothing about the body, and nobody is asked."""
    source = Source({})
    with pytest.raises(RefusedError) as caught:
        await exchange(desk(source, guard()), http_scope(method="POST", client=("10.0.0.9", 1)), b"nonsense")
    assert caught.value.status == 401
    assert source.asked == []


async def test_both_sides_together() -> None:
    """A page's node asks a gateway, which asks the service, in our own dialect all the way: HTML, null and imports."""
    rendering = Source({("two", "r"): "R"})
    apps = {"10.0.0.2:80": RenderDesk(rendering, guard(), service="two")}
    there = ServiceInstance("two", Address("http", "10.0.0.2", 80), token=1_000_000_001)
    terms = AskingTerms(key=lambda: "k-public")
    instances = InstanceFragments({"two": Group.build([there])}.get, AsgiUpstream(apps), terms)
    apps["10.0.0.1:80"] = AskDesk(instances, guard())  # type: ignore[assignment]
    asker = GatewayFragments(lambda: [Address("http", "10.0.0.1", 80)], AsgiUpstream(apps), terms)
    questions = [
        FragmentQuestion("1", "two", "r", parse_bindings("dob as birth")),
        FragmentQuestion("2", "two", "other"),
    ]
    page = PageContext(asyncio.get_running_loop().time() + 5, attributes={"dob": 1, "secret": 2}, depth=1)
    answers = {answer.id: answer async for answer in asker.ask("two", questions, page)}
    assert answers["1"] == FragmentAnswer("1", "R")
    assert answers["2"].cause is FragmentCause.UNKNOWN_REF
    assert answers["2"].detail == "10.0.0.1:80: 10.0.0.2:80: answered null"
    assert rendering.asked == [("two", questions)]
    assert rendering.pages[0].attributes == {"dob": 1}
    assert rendering.pages[0].depth == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(("signed", "origin", "is_lent"), [(True, "https://site.test", True), (False, "", False)])
async def test_what_a_signed_asker_says_of_its_page_is_believed(signed: bool, origin: str, is_lent: bool) -> None:
    """Origin and chosen headers count when a node of ours signed them; an unsigned asker's meet our own allow-list."""
    source = Source({})
    body = render_json(
        Render({}, (FragmentQuestion("1", "", "r"),), ((b"x-tenant", b"t"),), origin="https://site.test")
    )
    path = "/h/fragment/k-public/requestFragment"
    fields = Signer("s")("POST", path, body) if signed else []
    result = await post(RenderDesk(source, guard()), body, *fields, path=path)
    assert result.status == 200
    page = source.pages[0]
    assert (page.origin, page.is_lent, page.headers) == (origin, is_lent, ((b"x-tenant", b"t"),))
