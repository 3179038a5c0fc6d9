"""Fragments from a dictionary."""

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.core.binding import parse_bindings
from hydra_asgi.core.fragment import FragmentQuestion, PageContext
from hydra_asgi.ports import FragmentSource
from hydra_asgi.testing import Asked, FakeFragments, FragmentCause, fake_fragments

TAG = '<m:fragment service="orders" ref="checkout" imports="dob, a as b" exports="zip">fallback</m:fragment>'


def page_app() -> tuple[Starlette, Hydra]:
    async def page(request: Any) -> HTMLResponse:
        return HTMLResponse(TAG)

    hydra = Hydra()
    return Starlette(routes=[Route("/", page)], middleware=[Middleware(HydraMiddleware, hydra=hydra)]), hydra


def test_pages_show_what_the_test_says() -> None:
    """A page shows the given HTML, and the test sees what it asked for."""
    app, hydra = page_app()
    with fake_fragments(hydra, {("orders", "checkout"): "<b>pay</b>"}) as fragments:
        assert TestClient(app).get("/").text == "<b>pay</b>"
    assert fragments.asked == [Asked("orders", "checkout", ("dob", "a as b"), ("zip",))]


def test_fallbacks_show_for_a_cause() -> None:
    """A cause in the place of HTML shows the fallback, as a fragment that is missing does."""
    app, hydra = page_app()
    for answers in ({("orders", "checkout"): FragmentCause.TIMEOUT}, {}):
        with fake_fragments(hydra, answers):
            assert TestClient(app).get("/").text == "fallback"


def test_only_meanwhile() -> None:
    """Fakes replace each other while their block lasts, and nothing of them stays."""
    app, hydra = page_app()
    with TestClient(app) as client:
        with fake_fragments(hydra, {("orders", "checkout"): "outer"}):
            with fake_fragments(hydra, {("orders", "checkout"): "inner"}):
                assert client.get("/").text == "inner"
            assert client.get("/").text == "outer"
        assert client.get("/").text == "fallback"


async def test_it_is_a_source() -> None:
    """It answers as any source of fragments: by id, with the cause where there is no HTML."""
    source: FragmentSource = FakeFragments({("s", "a"): "A", ("s", "b"): FragmentCause.BROKEN})
    questions = [FragmentQuestion(name, "s", name, parse_bindings("x")) for name in "abc"]
    answers = [answer async for answer in source.ask("s", questions, PageContext(0.0))]
    assert [(answer.id, answer.html, answer.cause) for answer in answers] == [
        ("a", "A", None),
        ("b", None, FragmentCause.BROKEN),
        ("c", None, FragmentCause.UNKNOWN_REF),
    ]
