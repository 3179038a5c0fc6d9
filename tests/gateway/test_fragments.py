"""Fragments from other services' instances."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from hydra_asgi.core.binding import parse_bindings
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.instance import Address, Dialect, FragmentDeclaration, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.fragments import InstanceFragments
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.ports import UpstreamRequest
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream
from hydra_asgi.wire.answer_lines import answer_line
from hydra_asgi.wire.asking_terms import AskingTerms
from hydra_asgi.wire.fragment_answers import answers_json
from hydra_asgi.wire.fragments import parse_render
from tests.recorded_fragments import Recorded, recorded

LINES = b"application/x-ndjson"
REFUSED = UpstreamError(ErrorKind.CONNECT_REFUSED)
UNKNOWN_REF = recorded("fragments-render-unknown-ref.response")
TRACE = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def instance(number: int = 1, **parts: Any) -> ServiceInstance:
    values: dict[str, Any] = {"token": 1_000_000_000 + number, "order": number, **parts}
    return ServiceInstance("two", Address("http", f"10.0.0.{number}", 8002), **values)


def medusa(**parts: Any) -> ServiceInstance:
    return instance(dialect=Dialect.MEDUSA, **parts)


def question(id_: str = "a", ref: str = "r", imports: str | None = "") -> FragmentQuestion:
    return FragmentQuestion(id_, "two", ref, None if imports is None else parse_bindings(imports))


def lines(*answers: FragmentAnswer) -> FakeResponse:
    return FakeResponse(body=b"".join(map(answer_line, answers)), content_type=LINES)


def array(*answers: FragmentAnswer) -> FakeResponse:
    return FakeResponse(body=answers_json(answers))


def replay(message: Recorded) -> FakeResponse:
    return FakeResponse(message.status, message.body, content_type=b"", headers=message.headers)


def page(seconds: float = 30, **parts: Any) -> PageContext:
    return PageContext(asyncio.get_running_loop().time() + seconds, **parts)


def source(upstream: FakeUpstream, *instances: ServiceInstance, **options: Any) -> InstanceFragments:
    groups = {"two": Group.build(instances)} if instances else {}
    health = options.pop("health", None)
    terms = AskingTerms(**{"key": lambda: "k-public"} | options)
    return InstanceFragments(groups.get, upstream, terms, health=health)


async def ask(
    fragments: InstanceFragments,
    questions: Sequence[FragmentQuestion] = (question(),),
    context: PageContext | None = None,
) -> dict[str, FragmentAnswer]:
    """Ask, check that each id is answered once, and give the answers by id."""
    answers = [answer async for answer in fragments.ask("two", questions, context or page())]
    assert sorted(answer.id for answer in answers) == sorted(question.id for question in questions)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return {answer.id: answer for answer in answers}


async def test_one_question_asks_one_instance() -> None:
    """All fragments of a service go out in one POST whose head names the instance and both dialects."""
    upstream = FakeUpstream(lines(FragmentAnswer("a", "A"), FragmentAnswer("b", "B")))
    fragments = source(upstream, instance(), sign=lambda method, path, body: [(b"hydra-signature", path.encode())])
    answers = await ask(fragments, [question("a"), question("b")], page(key="u1", headers=(TRACE,)))
    assert [answer.html for answer in answers.values()] == ["A", "B"]
    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", b"/h/fragment/k-public/requestFragment")
    assert request.headers == [
        (b"host", b"10.0.0.1:8002"),
        (b"accept", b"application/x-ndjson, application/json"),
        (b"accept-encoding", b"identity"),
        (b"content-type", b"application/json"),
        (b"hydra-key", b"u1"),
        TRACE,
        (b"hydra-signature", b"/h/fragment/k-public/requestFragment"),
    ]
    assert upstream.open_responses == 0


async def test_the_base_path_is_part_of_the_target() -> None:
    """An instance behind a base path is asked below it."""
    upstream = FakeUpstream(lines(FragmentAnswer("a", "A")))
    address = Address("http", "10.0.0.1", 8002, "/app")
    await ask(source(upstream, ServiceInstance("two", address, token=1_000_000_001)))
    assert upstream.requests[0].target == b"/app/h/fragment/k-public/requestFragment"


async def test_only_imports_and_allowed_headers_leave() -> None:
    """Attributes that nobody imports, cookies and authorization stay here; the allow-lists open by name."""
    upstream = FakeUpstream(lines())
    fragments = source(
        upstream, instance(), forward={"*": ["x-tenant"], "two": ["cookie:lang"], "one": ["authorization"]}
    )
    headers = (
        (b"accept-language", b"nl"),
        (b"authorization", b"Bearer x"),
        (b"cookie", b"session=1; lang=nl"),
        (b"x-tenant", b"t"),
    )
    attributes = {"dob": "2000", "country": "NL", "secret": 1}
    asked = [question("a", imports="dob as birth"), question("b", imports="")]
    await ask(fragments, asked, page(headers=headers, attributes=attributes, key="u1", depth=2))
    body = upstream.requests[0].body
    assert isinstance(body, bytes)
    render = parse_render(body, "two")
    assert render.attributes == {"dob": "2000"}
    assert render.questions == tuple(asked)
    assert render.headers == ((b"accept-language", b"nl"), (b"x-tenant", b"t"), (b"cookie", b"lang=nl"))
    assert (render.key, render.depth) == ("u1", 2)
    assert render.budget is not None
    assert 29 < render.budget <= 30


async def test_answers_stream() -> None:
    """A fast fragment is there while a slow one of the same service is not."""
    gate = asyncio.Event()
    body = [answer_line(FragmentAnswer("a", "A")), gate.wait(), answer_line(FragmentAnswer("b", "B"))]
    upstream = FakeUpstream(FakeResponse(body=body, content_type=LINES))
    answers = source(upstream, instance()).ask("two", [question("a"), question("b")], page())
    assert await anext(answers) == FragmentAnswer("a", "A")
    gate.set()
    assert [answer async for answer in answers] == [FragmentAnswer("b", "B")]


async def test_closing_leaves_nothing_open() -> None:
    """Whoever stops reading closes the response."""
    upstream = FakeUpstream(lines(FragmentAnswer("a", "A"), FragmentAnswer("b", "B")))
    answers = source(upstream, instance()).ask("two", [question("a"), question("b")], page())
    await anext(answers)
    assert upstream.open_responses == 1
    await answers.aclose()
    assert upstream.open_responses == 0


async def test_unknown_refs_are_not_asked_for() -> None:
    """A ref that the instance does not declare is answered at once, the others are asked for."""
    upstream = FakeUpstream(lines(FragmentAnswer("a", "A")))
    fragments = source(upstream, instance(fragments=(FragmentDeclaration("r"),)))
    answers = await ask(fragments, [question("a"), question("b", "other")])
    assert answers["a"].html == "A"
    assert answers["b"].cause is FragmentCause.UNKNOWN_REF
    assert "10.0.0.1:8002" in answers["b"].detail
    assert "other" in answers["b"].detail
    body = upstream.requests[0].body
    assert isinstance(body, bytes)
    assert [asked.id for asked in parse_render(body).questions] == ["a"]


async def test_nothing_is_sent_for_unknown_refs_alone() -> None:
    """An instance that declares nothing is not asked at all."""
    upstream = FakeUpstream(lines())
    answers = await ask(source(upstream, instance(fragments=())))
    assert answers["a"].cause is FragmentCause.UNKNOWN_REF
    assert upstream.requests == []


async def test_an_unknown_service_has_no_fragments() -> None:
    """A service that nobody registered is said to be unknown."""
    answers = await ask(source(FakeUpstream(lines())))
    assert answers["a"].cause is FragmentCause.UNKNOWN_SERVICE
    assert "'two'" in answers["a"].detail


async def test_a_drained_service_is_unavailable() -> None:
    """A service whose instances all drain cannot be asked."""
    answers = await ask(source(FakeUpstream(lines()), instance(weight=0)))
    assert answers["a"].cause is FragmentCause.UNAVAILABLE


async def test_another_instance_is_tried_once() -> None:
    """When an instance cannot be reached the next one is asked, and then no further one."""
    upstream = FakeUpstream(REFUSED, lines(FragmentAnswer("a", "A")))
    assert (await ask(source(upstream, instance(1), instance(2))))["a"].html == "A"
    assert len({request.address for request in upstream.requests}) == 2

    upstream = FakeUpstream(REFUSED)
    answers = await ask(source(upstream, instance(1), instance(2), instance(3)))
    assert answers["a"].cause is FragmentCause.REFUSED
    assert len(upstream.requests) == 2
    assert upstream.requests[1].address.netloc in answers["a"].detail


async def test_a_lone_instance_is_not_asked_again() -> None:
    """Without a second instance the failure of the first is the answer."""
    upstream = FakeUpstream(REFUSED)
    assert (await ask(source(upstream, instance())))["a"].cause is FragmentCause.REFUSED
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("answer", "cause", "detail"),
    [
        (UpstreamError(ErrorKind.RESET, "by peer"), FragmentCause.BROKEN, "by peer"),
        (UpstreamError(ErrorKind.FIRST_BYTE_TIMEOUT), FragmentCause.TIMEOUT, "first-byte"),
        (FakeResponse(302, headers=[(b"location", b"http://169.254.169.254/")]), FragmentCause.REDIRECT, "302"),
        (FakeResponse(403, b"<html>", content_type=b"text/html"), FragmentCause.STATUS, "403"),
        (FakeResponse(200, b"<html>", content_type=b"text/html"), FragmentCause.CONTENT_TYPE, "text/html"),
        (FakeResponse(200, b"garbage\n", content_type=LINES), FragmentCause.BROKEN, "not JSON"),
        (FakeResponse(200, b"", content_type=LINES), FragmentCause.BROKEN, "no answer"),
        (FakeResponse(200, bytes(4_000_000), content_type=LINES), FragmentCause.TOO_LARGE, "larger"),
        (
            FakeResponse(200, gzip.compress(bytes(100_000_000)), headers=[(b"content-encoding", b"gzip")]),
            FragmentCause.TOO_LARGE,
            "larger",
        ),
        (lines(FragmentAnswer("a", None, FragmentCause.FAILED, "boom")), FragmentCause.FAILED, "boom"),
        (array(FragmentAnswer("a", None)), FragmentCause.FAILED, "null"),
    ],
)
async def test_every_trouble_is_an_answer(answer: Any, cause: FragmentCause, detail: str) -> None:
    """Whatever goes wrong ends as a cause, with a detail that names the instance and what happened."""
    upstream = FakeUpstream(answer)
    got = (await ask(source(upstream, instance(1), instance(2))))["a"]
    assert (got.html, got.cause) == (None, cause)
    assert got.detail.startswith(f"{upstream.requests[0].address.netloc}: ")
    assert detail in got.detail
    assert len(upstream.requests) == 1
    assert upstream.open_responses == 0


async def test_what_came_before_the_trouble_stands() -> None:
    """A body that breaks off costs only the fragments that had not come."""
    body = [answer_line(FragmentAnswer("a", "A")), UpstreamError(ErrorKind.TRUNCATED)]
    upstream = FakeUpstream(FakeResponse(body=body, content_type=LINES))
    answers = await ask(source(upstream, instance()), [question("a"), question("b")])
    assert answers["a"].html == "A"
    assert answers["b"].cause is FragmentCause.BROKEN


async def test_the_deadline_holds() -> None:
    """An instance that hangs is a timeout at the page's deadline."""

    async def hang(request: UpstreamRequest) -> FakeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    got = (await ask(source(FakeUpstream(hang), instance()), context=page(0.02)))["a"]
    assert got.cause is FragmentCause.TIMEOUT


async def test_nothing_is_asked_after_the_deadline() -> None:
    """A page whose budget is used up asks nobody."""
    upstream = FakeUpstream(lines())
    assert (await ask(source(upstream, instance()), context=page(-1)))["a"].cause is FragmentCause.TIMEOUT
    assert upstream.requests == []


async def test_the_budget_is_kept_for_a_second_instance() -> None:
    """Connecting may use half of what is left at most."""
    upstream = FakeUpstream(lines())
    await ask(source(upstream, instance(), clock=lambda: 10.0), context=PageContext(deadline=11.5))
    await ask(source(upstream, instance(), clock=lambda: 10.0), context=PageContext(deadline=20.0))
    assert [request.timeouts.connect for request in upstream.requests] == [0.75, 1.0]
    assert [request.timeouts.first_byte for request in upstream.requests] == [1.5, 10.0]


async def test_an_attribute_without_a_form_costs_its_own_fragments() -> None:
    """A page attribute that JSON cannot hold is said, and only asked about when it is imported."""
    upstream = FakeUpstream(lines(FragmentAnswer("a", "A")))
    fragments = source(upstream, instance())
    context = page(attributes={"bad": object()})
    assert (await ask(fragments, [question(imports="bad")], context))["a"].cause is FragmentCause.FAILED
    assert (await ask(fragments, [question(imports="")], context))["a"].html == "A"


# -- what is known about instances


def order_of(upstream: FakeUpstream) -> list[str]:
    return [request.address.host for request in upstream.requests]


def down(*numbers: int) -> Callable[[UpstreamRequest], FakeResponse]:
    """Instances of ours, of which some refuse connections."""

    def answer(request: UpstreamRequest) -> FakeResponse:
        if request.address.host in {f"10.0.0.{number}" for number in numbers}:
            raise REFUSED
        return lines(FragmentAnswer("a", "A"))

    return answer


async def test_an_ejected_instance_is_not_asked() -> None:
    """After three failures the fragments of its users come from another instance without a detour."""
    upstream, health = FakeUpstream(down(1)), InstanceHealth()
    fragments = source(upstream, instance(1), instance(2), health=health)
    key = next(key for key in map(str, range(100)) if Group.build([instance(1), instance(2)]).pick(key) == instance(1))
    for _ in range(5):
        assert (await ask(fragments, context=page(key=key)))["a"].html == "A"
    assert order_of(upstream) == ["10.0.0.1", "10.0.0.2"] * 3 + ["10.0.0.2"] * 2


async def test_second_tries_have_a_budget() -> None:
    """When nobody can be reached, fragments do not double the trouble: retries are the service's, pages' included."""
    upstream, health = FakeUpstream(REFUSED), InstanceHealth(clock=lambda: 10.0)
    fragments = source(upstream, instance(1), instance(2), health=health)
    for _ in range(100):
        await ask(fragments)
    assert len(upstream.requests) == 100 + 6 + 20
    assert not health.may_retry("two")


async def test_an_instance_that_hangs_is_noticed() -> None:
    """Questions that end with the page's deadline count; those that the page gives up earlier do not."""

    async def hang(request: UpstreamRequest) -> FakeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    health = InstanceHealth()
    group = Group.build([instance(1), instance(2)])
    fragments = source(FakeUpstream(hang), instance(1), instance(2), health=health)
    first = group.pick("")
    for _ in range(3):
        asking = asyncio.create_task(ask(fragments))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert next(health.order(group, "")) is first
    for _ in range(3):
        assert (await ask(fragments, context=page(0.06)))["a"].cause is FragmentCause.TIMEOUT
    assert next(health.order(group, "")) is not first


@pytest.mark.parametrize(
    ("dialect", "status", "is_ejected"),
    [
        (Dialect.HYDRA, 500, True),
        (Dialect.MEDUSA, 503, True),
        (Dialect.MEDUSA, 500, False),
        (Dialect.HYDRA, 404, False),
    ],
)
async def test_which_statuses_speak_against_an_instance(dialect: Dialect, status: int, is_ejected: bool) -> None:
    """A node of ours has no reason for a 500; a Medusa says it to a ref it does not know."""
    health = InstanceHealth()
    members = [instance(1, dialect=dialect), instance(2, dialect=dialect)]
    group = Group.build(members)
    fragments = source(FakeUpstream(FakeResponse(status)), *members, health=health)
    first = group.pick("")
    for _ in range(20):
        await ask(fragments)
    assert (next(health.order(group, "")) is not first) == is_ejected


# -- unmodified Medusa services


async def test_a_recorded_medusa_answers() -> None:
    """The recorded answer of a Medusa becomes HTML whose own files point at that instance."""
    message = recorded("fragments-render.response")
    id_ = json.loads(message.body)[0]["id"]
    upstream = FakeUpstream(replay(message))
    asked = FragmentQuestion(id_, "two", "two_hello", None, (), "<em>fallback of two</em>")
    context = page(attributes={"total": 3, "customer": "Ann"}, headers=((b"accept-language", b"nl"),), key="u1")
    answers = await ask(source(upstream, medusa(resources=frozenset({"css/two.css"}))), [asked], context)
    assert answers[id_].html == (
        '<div>\n <p class="two">Greetings from two to <b>Ann</b></p><img src="/1000000001/css/two.css" />\n</div>'
    )
    (request,) = upstream.requests
    assert isinstance(request.body, bytes)
    assert json.loads(request.body) == json.loads(recorded("fragments-render.request").body)
    assert request.headers == [
        (b"host", b"10.0.0.1:8002"),
        (b"accept", b"application/json"),
        (b"accept-encoding", b"identity"),
        (b"content-type", b"application/json"),
        (b"accept-language", b"nl"),
    ]


async def test_placeholders_of_a_medusa_do_not_leak() -> None:
    """The placeholder of a nested fragment is taken out of the HTML."""
    upstream = FakeUpstream(array(FragmentAnswer("a", "<p>$#FRGM-" + "x" * 60 + "</p>")))
    assert (await ask(source(upstream, medusa())))["a"].html == "<p></p>"


async def test_our_own_html_is_not_touched() -> None:
    """What looks like a placeholder or a file in the HTML of a node of ours stays."""
    html = '<img src="/x.png">$#FRGM-' + "x" * 60
    upstream = FakeUpstream(lines(FragmentAnswer("a", html)))
    assert (await ask(source(upstream, instance(resources=frozenset({"x.png"})))))["a"].html == html


def by_ref(answers: dict[str, str | int]) -> Callable[[UpstreamRequest], FakeResponse]:
    """A Medusa: 500 for a batch with an unknown ref, another status where one is given."""

    def answer(request: UpstreamRequest) -> FakeResponse:
        assert isinstance(request.body, bytes)
        asked = parse_render(request.body).questions
        found = [answers.get(question.ref, 500) for question in asked]
        if bad := [status for status in found if isinstance(status, int)]:
            return FakeResponse(bad[0], UNKNOWN_REF.body)
        return array(*(FragmentAnswer(q.id, str(html)) for q, html in zip(asked, found, strict=True)))

    return answer


async def test_a_failed_batch_is_asked_one_by_one() -> None:
    """One unknown ref, for which a Medusa fails the whole batch, costs nobody else's fragment."""
    upstream = FakeUpstream(by_ref({"r": "R", "s": "S"}))
    asked = [question("a", "r"), question("b", "nope"), question("c", "s")]
    answers = await ask(source(upstream, medusa()), asked)
    assert (answers["a"].html, answers["c"].html) == ("R", "S")
    assert answers["b"].cause is FragmentCause.STATUS
    assert answers["b"].detail == "10.0.0.1:8002: status 500"
    assert len(upstream.requests) == 4


async def test_a_failed_question_is_not_repeated() -> None:
    """A batch of one that fails is not sent again."""
    upstream = FakeUpstream(by_ref({}))
    assert (await ask(source(upstream, medusa())))["a"].cause is FragmentCause.STATUS
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("name", ["fragments-render-wrong-key.response", "fragments-render-unknown-ref.response"])
async def test_recorded_refusals(name: str) -> None:
    """A recorded refusal, with its status and its JSON body, is a cause."""
    message = recorded(name)
    answers = await ask(source(FakeUpstream(replay(message)), medusa()))
    assert answers["a"].cause is FragmentCause.STATUS
    assert str(message.status) in answers["a"].detail


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_who_may_not_ask_does_not_ask_again(status: int) -> None:
    """A refusal that has nothing to do with the refs is taken for all of them."""
    upstream = FakeUpstream(FakeResponse(status))
    answers = await ask(source(upstream, medusa()), [question("a"), question("b")])
    assert {answer.cause for answer in answers.values()} == {FragmentCause.STATUS}
    assert len(upstream.requests) == 1


async def test_a_failing_node_of_ours_is_not_asked_one_by_one() -> None:
    """Our own nodes answer null for what they do not know, so a 500 is taken for what it is."""
    upstream = FakeUpstream(FakeResponse(500))
    await ask(source(upstream, instance()), [question("a"), question("b")])
    assert len(upstream.requests) == 1


async def test_alone_a_slow_fragment_holds_nobody() -> None:
    """Asked one by one, a fragment that hangs until the deadline does not hold back the others."""

    async def answer(request: UpstreamRequest) -> FakeResponse:
        assert isinstance(request.body, bytes)
        if b'"slow"' in request.body and b'"r"' not in request.body:
            await asyncio.Event().wait()
        return by_ref({"r": "R"})(request)

    context = page(0.2)
    answers = source(FakeUpstream(answer), medusa()).ask("two", [question("a", "slow"), question("b", "r")], context)
    assert await anext(answers) == FragmentAnswer("b", "R")
    assert asyncio.get_running_loop().time() < context.deadline
    assert [answer.cause async for answer in answers] == [FragmentCause.TIMEOUT]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_alone_closing_leaves_nothing() -> None:
    """Whoever stops reading while fragments are asked one by one leaves no task and no response."""
    upstream = FakeUpstream(by_ref({"r": "R"}))
    answers = source(upstream, medusa()).ask("two", [question("a", "r"), question("b", "nope")], page())
    await anext(answers)
    await answers.aclose()
    assert upstream.open_responses == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_alone_only_a_few_at_once() -> None:
    """A page with many fragments does not storm a Medusa that has just failed."""
    running, most = 0, 0

    async def answer(request: UpstreamRequest) -> FakeResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1
        return by_ref({"r": "R"})(request)

    asked = [question(str(number), "r") for number in range(30)] + [question("x", "nope")]
    answers = await ask(source(FakeUpstream(answer), medusa()), asked)
    assert sum(answer.html == "R" for answer in answers.values()) == 30
    assert most == 8


@pytest.mark.parametrize(
    ("body", "html", "cause"),
    [
        (b'[{"renderedHTML":"A","id":"a"}]', "A", None),
        (b'[{"renderedHTML":null,"id":"a"}]', None, FragmentCause.FAILED),
        (b'[{"renderedHTML":"A"}]', None, FragmentCause.BROKEN),
        (b'[{"renderedHTML":"X","id":"x"},{"renderedHTML":"A","id":"a"}]', "A", None),
        (b'[{"renderedHTML":"A","id":"a","more":{"k":1}}]', "A", None),
        (b"[]", None, FragmentCause.BROKEN),
        (b"", None, FragmentCause.BROKEN),
        (b'[{"renderedHTML":"' + b"x" * 300_000 + b'","id":"a"}]', "x" * 300_000, None),
    ],
)
async def test_what_a_medusa_may_answer(body: bytes, html: str | None, cause: FragmentCause | None) -> None:
    """Good, null, missing and unknown ids, extra keys, empty and large answers each end as they should."""
    got = (await ask(source(FakeUpstream(FakeResponse(body=body)), medusa())))["a"]
    assert (got.html, got.cause) == (html, cause)


# -- over a real connection


class Loopback:
    """A tiny HTTP client for one response with `Connection: close`, behind the port."""

    async def send(self, request: UpstreamRequest) -> FakeResponse:
        reader, writer = await asyncio.open_connection(request.address.host, request.address.port)
        assert isinstance(request.body, bytes)
        fields = b"".join(b"%s: %s\r\n" % pair for pair in request.headers)
        head = b"%s %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (
            request.method.encode(), request.target, fields, len(request.body),
        )  # fmt: skip
        writer.write(head + request.body)
        status, *pairs = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
        headers = [(name.lower(), value) for name, value in (pair.split(b": ", 1) for pair in pairs)]

        class Response(FakeResponse):
            async def body(self) -> AsyncIterator[bytes]:
                while piece := await reader.read(65_536):
                    yield piece

            async def __aexit__(self, *_: object) -> None:
                writer.close()
                await writer.wait_closed()

        return Response(int(status.split()[1]), content_type=b"", headers=headers)

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_real_server_streams() -> None:
    """Over a socket, the first line of an answer arrives before the server has written the second."""
    gate = asyncio.Event()
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        seen.append(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n")
        writer.write(answer_line(FragmentAnswer("a", "A")))
        await gate.wait()
        writer.write(answer_line(FragmentAnswer("b", "B")))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        there = ServiceInstance("two", Address("http", "127.0.0.1", port), token=1_000_000_001)
        fragments = InstanceFragments({"two": Group.build([there])}.get, Loopback(), AskingTerms(key=lambda: "k"))
        answers = fragments.ask("two", [question("a"), question("b")], page())
        assert await anext(answers) == FragmentAnswer("a", "A")
        gate.set()
        assert [answer async for answer in answers] == [FragmentAnswer("b", "B")]
    assert seen[0].startswith(b"POST /h/fragment/k/requestFragment HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % port)
