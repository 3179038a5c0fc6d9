import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from quart import Quart, g, render_template_string
from quart import request as quart_request
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from hydra_asgi.backends.selectolax_picker import SelectolaxPicker, check_selector
from hydra_asgi.core.binding import parse_bindings
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.discovery.discover import discover
from hydra_asgi.errors import PickError
from hydra_asgi.service.attributes import FragmentRequest, attributes_of
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.service.rendering import LocalFragments

EXPORTED = contextvars.ContextVar("exported", default="clean")


class Site:
    """An app with its declarations, and how to ask for its fragments."""

    def __init__(self) -> None:
        self.declarations = Declarations(check_selector=check_selector)

    def source(self, app: Any, **options: Any) -> LocalFragments:
        given: dict[str, Any] = {"picker": SelectolaxPicker(), "path_of": discover(app).local_path, **options}
        return LocalFragments(service="orders", declarations=self.declarations, app=app, **given)

    async def one(self, app: Any, ref: str = "x", *, imports: str | None = "", **options: Any) -> FragmentAnswer:
        page = options.pop("page", None) or context()
        (answer,) = [a async for a in self.source(app, **options).ask("orders", [question(ref, imports)], page)]
        return answer


@pytest.fixture
def site() -> Site:
    return Site()


def question(ref: str, imports: str | None = "") -> FragmentQuestion:
    bindings = None if imports is None else parse_bindings(imports)
    return FragmentQuestion(f"id-{ref}", "orders", ref, bindings)


def context(
    seconds: float = 10,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    attributes: Mapping[str, object] | None = None,
    depth: int = 0,
) -> PageContext:
    deadline = asyncio.get_running_loop().time() + seconds
    return PageContext(deadline, headers, attributes or {}, "key", depth, "https://site.test")


async def test_fastapi(site: Site) -> None:
    """A FastAPI route renders with its dependencies, its path filled from imports, included routers too."""
    router = APIRouter()

    def shout(request: Request) -> str:
        return str(attributes_of(request)["dob"]).upper()

    @router.get("/orders/{number}", response_class=HTMLResponse)
    @site.declarations.fragment("x", imports=["dob", "id as number"])
    async def view(number: int, request: Request, dob: str = Depends(shout)) -> str:
        return f"<p>{number} {dob} {sorted(attributes_of(request))}</p>"

    app = FastAPI()
    app.include_router(router, prefix="/v1")
    page = context(attributes={"dob": "may", "id": 7, "secret": 1})
    answer = await site.one(app, imports="dob, id as number", page=page)
    assert answer == FragmentAnswer("id-x", "<p>7 MAY ['dob', 'number']</p>")


async def test_quart(site: Site) -> None:
    """A Quart route renders with its templates; decorators may stand in either order."""
    app = Quart("x", static_folder=None)

    @site.declarations.fragment("x", imports=["name"])
    @app.get("/x")
    async def view() -> str:
        return await render_template_string("<p>{{ a.name }}</p>", a=attributes_of(quart_request))

    answer = await site.one(app, imports="name", page=context(attributes={"name": "<Ann>"}))
    assert answer.html == "<p>&lt;Ann&gt;</p>"


async def test_starlette_stream(site: Site) -> None:
    """A streamed response is a fragment like any other."""

    async def pieces() -> AsyncIterator[str]:
        yield "<p>"
        yield "é</p>"

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        return StreamingResponse(pieces(), media_type="text/html")

    assert (await site.one(Starlette(routes=[Route("/x", view)]))).html == "<p>é</p>"


async def test_closed_by_default(site: Site) -> None:
    """A fragment sees no cookie, no authorization and no other header of the page, but host, language and trace."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = (
        (b"host", b"site.test"),
        (b"cookie", b"a=1; b=2"),
        (b"authorization", b"secret"),
        (b"accept", b"*/*"),
        (b"accept-language", b"de"),
        (b"traceparent", trace),
        (b"x-tenant", b"t"),
    )
    seen: list[Any] = []

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        seen.append((request.scope["headers"], request.client, request.url.query))
        return HTMLResponse("")

    app = Starlette(routes=[Route("/x", view)])
    await site.one(app, page=context(headers=headers))
    await site.one(app, page=context(headers=headers), forward=["X-Tenant", "cookie:b"])
    always = [(b"host", b"site.test"), (b"accept", b"text/html"), (b"accept-language", b"de"), (b"traceparent", trace)]
    assert seen[0] == (always, None, "")
    assert seen[1][0] == [*always, (b"x-tenant", b"t"), (b"cookie", b"b=2")]


async def test_scope_of_the_fragment(site: Site) -> None:
    """The scope says what is rendered, how deep, until when and for whom; state comes from the lifespan."""
    state = {"db": "the database"}
    seen: list[Any] = []

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        seen.append(request.scope)
        return HTMLResponse(request.state.db)

    app = Starlette(routes=[Route("/x", view)])
    page = context(depth=2)
    answer = await site.one(app, page=page, base=lambda: {"state": state, "app": app})
    assert answer.html == "the database"
    keys = ("hydra.fragment", "hydra.depth", "hydra.deadline", "hydra.key")
    assert [seen[0][key] for key in keys] == ["x", 3, page.deadline, "key"]


@pytest.mark.parametrize("imports", ["", None])
async def test_medusa_sees_all(site: Site, imports: str | None) -> None:
    """Without imports a fragment sees nothing, unless a Medusa asks: then everything."""

    @site.declarations.fragment("x")
    async def view(request: FragmentRequest) -> str:
        return str(dict(attributes_of(request)))

    answer = await site.one(FastAPI(), imports=imports, page=context(attributes={"a": 1}))
    assert answer.html == ("{'a': 1}" if imports is None else "{}")


@pytest.mark.parametrize("framework", ["starlette", "quart"])
async def test_under_a_mount(site: Site, framework: str) -> None:
    """The app is asked below the path at which it is mounted."""
    if framework == "quart":
        app: Any = Quart("x", static_folder=None)

        @app.get("/x")
        @site.declarations.fragment("x")
        async def view() -> str:
            return quart_request.root_path + " " + quart_request.path

    else:

        @site.declarations.fragment("x")
        async def page(request: Request) -> Response:
            return HTMLResponse(request.scope["root_path"] + " " + request.url.path.removeprefix("/orders"))

        app = Starlette(routes=[Route("/x", page)])
    assert (await site.one(app, root_path=lambda: "/orders")).html == "/orders /x"


async def test_fresh_context(site: Site) -> None:
    """A fragment inherits neither context variables nor the current request of the page that asks."""
    app = Quart("x", static_folder=None)

    @app.get("/x")
    @site.declarations.fragment("x")
    async def view() -> str:
        return f"{EXPORTED.get()} {g.get('user', 'nobody')}"

    EXPORTED.set("of the page")
    async with app.test_request_context("/"):
        g.user = "Ann"
        assert (await site.one(app)).html == "clean nobody"


async def test_plain_functions(site: Site) -> None:
    """A plain async function is called with nothing or with the request, through its decorators."""

    @site.declarations.fragment("none")
    async def none() -> bytes:
        return "é".encode()

    @site.declarations.fragment("request")
    async def request(request: FragmentRequest) -> Response:
        return HTMLResponse(f"{request.ref} {request.headers[0][1].decode()} {request.scope['method']}")

    assert (await site.one(FastAPI(), "none")).html == "é"
    assert (await site.one(FastAPI(), "request")).html == "request site.test GET"


async def test_functions_that_cannot_be_called(site: Site) -> None:
    """A function that is no route, and cannot be called as a fragment, says why."""

    @site.declarations.fragment("sync")
    def sync() -> str:
        return ""

    @site.declarations.fragment("many")
    async def many(one: int, two: int) -> str:
        return ""

    answer = await site.one(FastAPI(), "sync")
    assert (answer.html, answer.cause) == (None, FragmentCause.FAILED)
    assert "neither a route" in answer.detail
    answer = await site.one(FastAPI(), "many")
    assert (answer.html, answer.cause) == (None, FragmentCause.FAILED)
    assert "takes 2 arguments" in answer.detail


async def test_unknown_ref(site: Site) -> None:
    """A ref that nobody declared is no fragment."""
    answer = await site.one(FastAPI(), "nope")
    assert (answer.html, answer.cause) == (None, FragmentCause.UNKNOWN_REF)


async def test_missing_path_value(site: Site) -> None:
    """A route whose path needs a value that was not imported is not asked."""

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        raise AssertionError("never called")

    answer = await site.one(Starlette(routes=[Route("/x/{id}", view)]))
    assert (answer.html, answer.cause) == (None, FragmentCause.FAILED)
    assert "needs 'id'" in answer.detail


@pytest.mark.parametrize(
    ("response", "cause"),
    [
        (lambda: RedirectResponse("http://169.254.169.254/"), FragmentCause.REDIRECT),
        (lambda: HTMLResponse("", 404), FragmentCause.STATUS),
        (lambda: PlainTextResponse(""), FragmentCause.CONTENT_TYPE),
        (lambda: HTMLResponse("x" * 101), FragmentCause.TOO_LARGE),
        (lambda: StreamingResponse(endless(), media_type="text/html"), FragmentCause.TOO_LARGE),
    ],
)
async def test_answers_that_are_no_fragment(
    site: Site, response: Callable[[], Response], cause: FragmentCause, caplog: pytest.LogCaptureFixture
) -> None:
    """A redirect, an error, another type or too much is told by its cause, and is the asker's to log."""

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        return response()

    answer = await site.one(Starlette(routes=[Route("/x", view)]), limit=100)
    assert (answer.html, answer.cause) == (None, cause)
    assert caplog.records == []


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 50
        await asyncio.sleep(0)


async def test_compressed(site: Site) -> None:
    """A body that comes compressed all the same is decompressed."""

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        return HTMLResponse("é" * 1000)

    app = Starlette(routes=[Route("/x", view)])
    packed = GZipMiddleware(app, minimum_size=1)

    async def asks_for_gzip(scope: Any, receive: Any, send: Any) -> None:
        await packed({**scope, "headers": [*scope["headers"], (b"accept-encoding", b"gzip")]}, receive, send)

    assert (await site.one(asks_for_gzip, path_of=discover(app).local_path)).html == "é" * 1000


async def test_exception(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the app is a failed fragment, logged once with service, ref, cause and duration."""

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        raise ValueError("boom")

    with caplog.at_level(logging.DEBUG, logger="hydra_asgi"):
        answer = await site.one(Starlette(routes=[Route("/x", view)]))
    assert answer == FragmentAnswer("id-x", None, FragmentCause.FAILED, "ValueError: boom")
    (record,) = caplog.records
    assert record.getMessage().startswith("fragment failed: service=orders ref=x cause=failed seconds=")
    assert record.exc_info


async def test_timeout_of_the_app(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A TimeoutError of the app's own is its failure, not the page's deadline."""

    @site.declarations.fragment("x")
    async def view() -> str:
        raise TimeoutError("database")

    answer = await site.one(FastAPI())
    assert (answer.cause, answer.detail) == (FragmentCause.FAILED, "TimeoutError: database")
    assert len(caplog.records) == 1


async def test_exception_after_the_answer(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What fails after the response was complete is logged and takes nothing back."""

    def fail() -> None:
        raise ValueError("boom")

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        return HTMLResponse("fine", background=BackgroundTask(fail))

    assert (await site.one(Starlette(routes=[Route("/x", view)]))).html == "fine"
    assert len(caplog.records) == 1


async def test_incomplete(site: Site) -> None:
    """An app that returns without having finished its response rendered nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    @site.declarations.fragment("x")
    async def view() -> str:
        return ""

    answer = await site.one(app, path_of=lambda function: "/x")
    assert (answer.html, answer.cause) == (None, FragmentCause.BROKEN)


async def test_app_that_cancels_itself(site: Site) -> None:
    """An app that ends in a cancellation of its own is answered for, not waited for."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    site.declarations.fragment("x")(test_incomplete)
    answer = await site.one(app, path_of=lambda function: "/x")
    assert (answer.html, answer.cause) == (None, FragmentCause.FAILED)


async def test_order_of_answers(site: Site) -> None:
    """All questions run at once, and answers come as they finish."""
    gate = asyncio.Event()

    @site.declarations.fragment("slow")
    async def slow() -> str:
        await gate.wait()
        return "slow"

    @site.declarations.fragment("fast")
    async def fast() -> str:
        return "fast"

    answers = site.source(FastAPI()).ask("orders", [question("slow"), question("fast")], context())
    assert (await anext(answers)).html == "fast"
    gate.set()
    assert [answer.html async for answer in answers] == ["slow"]


async def test_answer_before_background_work(site: Site) -> None:
    """A fragment is there as soon as its body is; work after the response may still finish."""
    gate, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        done.set()

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        return HTMLResponse("x", background=BackgroundTask(work))

    answers = site.source(Starlette(routes=[Route("/x", view)])).ask("orders", [question("x")], context())
    assert (await anext(answers)).html == "x"
    assert not done.is_set()
    gate.set()
    assert [answer async for answer in answers] == []
    assert done.is_set()


@pytest.mark.parametrize("kind", ["route", "function"])
async def test_deadline(site: Site, kind: str) -> None:
    """What is not rendered by the page's deadline is a timeout, and its task is gone."""
    cancelled = asyncio.Event()

    @site.declarations.fragment("x")
    async def view(request: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    app = Starlette(routes=[Route("/x", view)] if kind == "route" else [])
    before = asyncio.all_tasks()
    answer = await site.one(app, page=context(seconds=0.02))
    assert (answer.html, answer.cause) == (None, FragmentCause.TIMEOUT)
    assert cancelled.is_set()
    assert asyncio.all_tasks() == before


async def test_deadline_and_a_stubborn_app(site: Site) -> None:
    """The answer comes on time even if the app takes its time to stop."""
    gate = asyncio.Event()

    @site.declarations.fragment("x")
    async def view(request: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            await gate.wait()

    answers = site.source(Starlette(routes=[Route("/x", view)])).ask("orders", [question("x")], context(0.02))
    assert (await anext(answers)).cause is FragmentCause.TIMEOUT
    gate.set()
    assert [answer async for answer in answers] == []


async def test_deadline_that_has_passed(site: Site) -> None:
    """A page that is already late gets its answers at once."""

    @site.declarations.fragment("x")
    async def view() -> str:
        await asyncio.Event().wait()
        return ""

    assert (await site.one(FastAPI(), page=context(seconds=-1))).cause is FragmentCause.TIMEOUT


async def test_closing(site: Site, eventually: Callable[..., Any]) -> None:
    """Closing the generator cancels what is still rendered and leaves no task."""
    started: list[object] = []

    @site.declarations.fragment("x")
    async def view(request: Request) -> Response:
        started.append(request)
        await asyncio.Event().wait()
        return HTMLResponse("")

    @site.declarations.fragment("fast")
    async def fast() -> str:
        return ""

    app = Starlette(routes=[Route("/x", view)])
    before = asyncio.all_tasks()
    answers = site.source(app).ask("orders", [question("x"), question("fast")], context())
    await anext(answers)
    await eventually(lambda: started)
    await answers.aclose()
    assert asyncio.all_tasks() == before


async def test_nothing_asked(site: Site) -> None:
    """No questions, no answers."""
    assert [answer async for answer in site.source(FastAPI()).ask("orders", [], context())] == []


async def test_whole_document(site: Site) -> None:
    """Of a whole document the inside of its body is the fragment."""

    @site.declarations.fragment("x")
    async def view() -> str:
        return "<!doctype html><html><head><title>t</title></head><body> <p>x</p></body></html>"

    assert (await site.one(FastAPI())).html == " <p>x</p>"


async def test_select(site: Site) -> None:
    """A fragment may be one element of a page."""

    @site.declarations.fragment("x", select=r"[m\:ref=x]")
    @site.declarations.fragment("gone", select="#gone")
    async def view() -> str:
        return '<!doctype html><body><div m:ref="x">é</div></body>'

    assert (await site.one(FastAPI(), "x")).html == "<div>é</div>"
    answer = await site.one(FastAPI(), "gone")
    assert (answer.html, answer.cause) == (None, FragmentCause.FAILED)
    assert "'#gone' matches nothing" in answer.detail


async def test_page_too_large_to_pick(site: Site) -> None:
    """A page that is too much for the picker is too large."""

    class Picker:
        async def pick(self, html: bytes, selector: str) -> bytes | None:
            raise PickError("too deep")

    @site.declarations.fragment("x", select="#x")
    async def view() -> str:
        return ""

    answer = await site.one(FastAPI(), picker=Picker())
    assert (answer.html, answer.cause, answer.detail) == (None, FragmentCause.TOO_LARGE, "too deep")
