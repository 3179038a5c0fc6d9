"""Fragments from instances that speak nothing but HTTP."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.instance import Address, Dialect, FragmentDeclaration, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.fragments import InstanceFragments
from hydra_asgi.gateway.plain_fragments import MAX_HTML
from hydra_asgi.testing import FakeResponse, FakeUpstream
from hydra_asgi.wire.asking_terms import AskingTerms

Eventually = Callable[..., Any]

REFUSED = UpstreamError(ErrorKind.CONNECT_REFUSED, "nobody listens")
HTML = b"text/html; charset=utf-8"


def box(number: int = 0, **declared: str) -> ServiceInstance:
    fragments = tuple(FragmentDeclaration(ref, path=path) for ref, path in declared.items())
    address = Address("http", f"box-{number}", 8080, "/php")
    return ServiceInstance("legacy", address, fragments=fragments, dialect=Dialect.PLAIN, token=number, order=number)


async def ask(
    upstream: FakeUpstream,
    *refs: str,
    instances: tuple[ServiceInstance, ...] = (box(checkout="/frag?x=1", basket="/basket"),),
    seconds: float = 5.0,
    **page: Any,
) -> dict[str, FragmentAnswer]:
    group = Group.build(instances)
    source = InstanceFragments(
        lambda service: group, upstream, AskingTerms(key=lambda: "k", forward={"*": ["x-tenant"]})
    )
    questions = [FragmentQuestion(ref, "legacy", ref, imports=(Binding("dob", "dob"),)) for ref in refs]
    context = PageContext(asyncio.get_running_loop().time() + seconds, **page)
    return {answer.id: answer async for answer in source.ask("legacy", questions, context)}


def page(body: Any = b"<p>Pay</p>", content_type: bytes = HTML, **options: Any) -> FakeResponse:
    return FakeResponse(options.pop("status", 200), body, content_type=content_type, **options)


async def test_a_fragment_is_one_get() -> None:
    """The declared path is asked for with a plain GET; attributes stay here, and only allow-listed headers travel."""
    upstream = FakeUpstream(page())
    headers = ((b"accept-language", b"nl"), (b"cookie", b"sid=1"), (b"authorization", b"x"), (b"x-tenant", b"acme"))
    answers = await ask(upstream, "checkout", headers=headers, attributes={"dob": "1990-04-01"}, key="user")
    assert answers["checkout"].html == "<p>Pay</p>"
    request = upstream.requests[0]
    assert (request.method, request.target, request.body) == ("GET", b"/php/frag?x=1", None)
    assert request.headers == [
        (b"host", b"box-0:8080"),
        (b"accept", b"text/html"),
        (b"accept-encoding", b"identity"),
        (b"accept-language", b"nl"),
        (b"x-tenant", b"acme"),
    ]
    assert not upstream.open_responses


async def test_fragments_do_not_wait_for_each_other(eventually: Eventually) -> None:
    """Each fragment is asked for on its own, so a slow one leaves the others as they are."""
    gate = asyncio.Event()
    upstream = FakeUpstream(
        lambda request: page([gate.wait(), b"slow"]) if b"frag" in request.target else page(b"quick")
    )
    group = Group.build([box(checkout="/frag", basket="/basket")])
    source = InstanceFragments(lambda service: group, upstream, AskingTerms(key=lambda: "k"))
    context = PageContext(asyncio.get_running_loop().time() + 5)
    answers = source.ask("legacy", [FragmentQuestion(ref, "legacy", ref) for ref in ("checkout", "basket")], context)
    first = await anext(answers)
    gate.set()
    second = await anext(answers)
    assert [(first.id, first.html), (second.id, second.html)] == [("basket", "quick"), ("checkout", "slow")]
    await answers.aclose()
    await eventually(lambda: not upstream.open_responses)


@pytest.mark.parametrize(
    ("answer", "cause", "detail"),
    [
        (page(status=404), FragmentCause.STATUS, "status 404"),
        (page(status=302), FragmentCause.REDIRECT, "status 302"),
        (page(content_type=b"image/png"), FragmentCause.CONTENT_TYPE, "'image/png'"),
        (page(content_type=b"text/html; charset=koi8-r"), FragmentCause.CONTENT_TYPE, "koi8-r"),
        (page(headers=[(b"Content-Encoding", b"gzip")]), FragmentCause.BROKEN, "content coding"),
        (page([b"x" * MAX_HTML, b"x"]), FragmentCause.TOO_LARGE, "larger than"),
        (page([b"x", UpstreamError(ErrorKind.TRUNCATED)]), FragmentCause.BROKEN, "truncated"),
        (REFUSED, FragmentCause.REFUSED, "nobody listens"),
    ],
    ids=lambda value: str(value) if isinstance(value, FragmentCause) else "",
)
async def test_what_is_no_fragment(answer: Any, cause: FragmentCause, detail: str) -> None:
    """Whatever is not a whole piece of HTML shows the fallback, with the reason and the place in the log."""
    upstream = FakeUpstream(answer)
    got = (await ask(upstream, "checkout"))["checkout"]
    assert (got.html, got.cause) == (None, cause)
    assert "box-0:8080" in got.detail
    assert detail in got.detail
    assert not upstream.open_responses


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(b"text/html", "ü€".encode()), (b"text/html; charset=ISO-8859-1", "ü€".encode("cp1252"))],
)
async def test_character_sets(content_type: bytes, body: bytes) -> None:
    """UTF-8, and what old boxes call Latin-1, arrive as text."""
    assert (await ask(FakeUpstream(page(body, content_type)), "checkout"))["checkout"].html == "ü€"


async def test_undeclared() -> None:
    """A ref that the instance does not declare is asked for nowhere."""
    upstream = FakeUpstream(page())
    assert (await ask(upstream, "menu"))["menu"].cause is FragmentCause.UNKNOWN_REF
    assert not upstream.requests


async def test_another_instance_is_asked_when_the_first_cannot_be_reached() -> None:
    """As long as nothing was answered, instances that cannot be reached cost a page nothing."""
    upstream = FakeUpstream(REFUSED, page(), page())
    instances = (box(1, checkout="/a", basket="/b"), box(2, checkout="/a", basket="/b"))
    answers = await ask(upstream, "checkout", instances=instances)
    assert answers["checkout"].html == "<p>Pay</p>"
    assert len({request.address for request in upstream.requests}) == 2


async def test_trouble_after_an_answer_is_that_fragments_own() -> None:
    """One fragment that cannot be fetched any more takes none of the others along."""
    gate = asyncio.Event()

    async def answer(request: Any) -> FakeResponse:
        if request.target == b"/php/basket":
            await gate.wait()
            raise REFUSED
        return page()

    group = Group.build([box(checkout="/frag", basket="/basket")])
    source = InstanceFragments(lambda service: group, FakeUpstream(answer), AskingTerms(key=lambda: "k"))
    context = PageContext(asyncio.get_running_loop().time() + 5)
    answers = source.ask("legacy", [FragmentQuestion(ref, "legacy", ref) for ref in ("checkout", "basket")], context)
    assert (await anext(answers)).html == "<p>Pay</p>"
    gate.set()
    assert (await anext(answers)).cause is FragmentCause.REFUSED


async def test_the_budget() -> None:
    """What is not there when the budget is used up shows its fallback; what is asked for later is not asked at all."""
    upstream = FakeUpstream(page([asyncio.Event().wait()]))
    assert (await ask(upstream, "checkout", seconds=0.05))["checkout"].cause is FragmentCause.TIMEOUT
    assert not upstream.open_responses
    assert (await ask(upstream, "checkout", seconds=-1))["checkout"].cause is FragmentCause.TIMEOUT
    assert len(upstream.requests) == 1
