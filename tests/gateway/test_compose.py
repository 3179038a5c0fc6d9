"""Composing pages, message by message."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.compose import Composer, Fallback
from tests.exchange import Exchange, exchange, http_scope
from tests.gateway.fragments import ScriptedSource

HTML = (b"content-type", b"text/html; charset=utf-8")
NO_STORE = (b"cache-control", b"no-store")
App = Callable[..., Awaitable[None]]
Eventually = Callable[..., Awaitable[None]]


def tag(ref: str, fallback: str = "", service: str = "s", more: str = "") -> bytes:
    return f'<m:fragment service="{service}" ref="{ref}"{more}>{fallback}</m:fragment>'.encode()


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [HTML, *headers]}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def app_of(*messages: dict[str, Any]) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def page_of(*pieces: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> App:
    return app_of(start(*headers), *(body(piece, more=True) for piece in pieces), body(b""))


class Site:
    """A composer with a scripted source, and what it reported."""

    def __init__(self, html: dict[str, str | None] | None = None, **options: Any) -> None:
        self.source = ScriptedSource(html or {})
        self.fallbacks: list[Fallback] = []
        self.warnings: list[str] = []
        self.composer = Composer(
            options.pop("source", self.source),
            on_fallback=self.fallbacks.append,
            on_warning=self.warnings.append,
            **options,
        )
        self.mounting: dict[str, Any] = {}

    def mount(self, app: App) -> App:
        async def mounted(scope: Any, receive: Any, send: Any) -> None:
            await self.composer(app, scope, receive, send, **self.mounting)

        return mounted

    async def get(self, app: App, scope: Any = None, on_send: Any = None) -> Exchange:
        before = asyncio.all_tasks()
        try:
            return await exchange(self.mount(app), scope, on_send=on_send)
        finally:
            assert asyncio.all_tasks() == before

    @property
    def causes(self) -> list[tuple[str, str]]:
        return [(fallback.ref, fallback.cause.value) for fallback in self.fallbacks]


# -- what passes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [
        [start((b"etag", b"x"), (b"content-length", b"4")), body(b"<p>a")],
        [start((b"etag", b"x"), (b"content-length", b"4")), body(b"<p>a", more=True), body(b"")],
        [start(), body(b"<!--" + tag("r") + b"-->")],
        [start(), {"type": "http.response.body"}],
        [{**start(), "headers": [(b"content-type", b"text/plain")]}, body(tag("r"), more=True), body(tag("r"))],
        [start(status=206), body(tag("r"))],
        [start((b"content-encoding", b"br")), body(tag("r"))],
        [start((b"content-encoding", b"gzip")), body(gzip.compress(b"<p>a"))],
        [start((b"content-encoding", b"gzip")), body(b"no gzip " + tag("r"))],
        [start(), {"type": "http.response.pathsend", "path": "/a"}],
        [{"type": "http.response.debug", "info": {}}, start(), body(b"a")],
        [start(), {"type": "http.response.push", "path": "/a", "headers": []}, body(b"a")],
        [body(b"a")],
        [{"type": "http.response.pathsend", "path": "/a"}],
        [start()],
    ],
)
async def test_what_has_no_tag_passes_as_it_is(messages: list[dict[str, Any]]) -> None:
    """A whole page without a tag, and whatever is no page, leaves message by message as the app sent it."""
    site = Site()
    result = await site.get(app_of(*messages))
    assert result.messages == messages
    assert all(sent is given for sent, given in zip(result.messages, messages, strict=True))
    assert site.source.asked == []


async def test_other_scopes_pass() -> None:
    """What is not HTTP is not touched."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([scope, receive, send])

    scope, receive, send = {"type": "lifespan"}, object(), object()
    await Site().composer(app, scope, receive, send)
    assert seen == [scope, receive, send]


async def test_hooks_may_be_left_out() -> None:
    """A composer without hooks composes all the same."""
    composer = Composer(ScriptedSource({}))

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await composer(page_of(tag("r", "fb") + tag("q", service="1")), scope, receive, send)

    assert (await exchange(mounted)).body == b"fb"


async def test_live_attributes_are_lent() -> None:
    """What the app adds to its attributes while it makes the page is there when the fragment is asked for."""
    attributes: dict[str, object] = {}
    site = Site({"r": "x"})
    site.mounting = {"attributes": attributes}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        attributes["dob"] = "1970"
        await page_of(tag("r"))(scope, receive, send)

    await site.get(app)
    assert site.source.asked[0][2].attributes == {"dob": "1970"}


async def test_a_disconnect_after_the_page_changes_nothing() -> None:
    """Servers say disconnect when the response is over, too."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"a"))
        await receive()

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await Site().composer(app, http_scope(), receive, send)
    assert sent == [start(), body(b"a")]


async def test_requests_are_read_through() -> None:
    """The body of the page's request reaches the app."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())

    await exchange(Site().mount(app), body=b"form")
    assert seen == [{"type": "http.request", "body": b"form", "more_body": False}]


async def test_an_unknown_coding_is_told_once() -> None:
    """Pages that a compression inside of us hides are named once per coding."""
    site = Site()
    for coding in (b"br", b"BR", b"zstd", *(b"x%d" % number for number in range(40))):
        await site.get(app_of(start((b"content-encoding", coding)), body(tag("r"))))
    assert "b'br'" in site.warnings[0]
    assert "b'zstd'" in site.warnings[1]
    assert len(site.warnings) == 16


# -- what is composed ----------------------------------------------------------------------------------------------


async def test_a_tag_is_replaced() -> None:
    """The fragment stands where its tag stood; every other byte is the app's."""
    site = Site({"r": "<i>ö</i>"})
    result = await site.get(page_of(b"\xff<p>a" + tag("r", "fb") + b"b</p>"))
    assert result.body == b"\xff<p>a<i>\xc3\xb6</i>b</p>"
    assert result.complete
    assert site.fallbacks == []


async def test_a_composed_page_has_its_own_headers() -> None:
    """Length and validators of the app's page are gone, and nobody stores the result."""
    site = Site({"r": "x"})
    headers = [(b"content-length", b"999"), (b"etag", b"x"), (b"cache-control", b"public"), (b"x-a", b"b")]
    for app in (page_of(tag("r"), headers=headers), app_of(start(*headers), body(tag("r")))):
        result = await site.get(app)
        assert result.headers == [HTML, (b"x-a", b"b"), NO_STORE]
        assert result.body == b"x"


async def test_a_streamed_page_without_tags_keeps_its_chunks() -> None:
    """Without a tag every chunk leaves as it came, when it came."""
    result = await Site().get(page_of(b"<p>a", b"<p>b"))
    assert [message["body"] for message in result.messages[1:]] == [b"<p>a", b"<p>b", b""]
    assert NO_STORE in result.headers


async def test_head_shows_the_headers_of_get() -> None:
    """HEAD gets what GET would get, without validators, and asks for nothing."""
    site = Site()
    app = app_of(start((b"etag", b"x"), (b"content-length", b"9")), body(tag("r")))
    result = await site.get(app, http_scope(method="HEAD"))
    assert result.headers == [HTML, NO_STORE]
    assert site.source.asked == []


async def test_the_app_sees_no_conditions() -> None:
    """A navigation's conditions do not reach the app; the scope the server gave stays as it was."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    headers = [(b"accept", b"text/html"), (b"if-none-match", b"x")]
    scope = http_scope(headers=headers)
    await Site().get(app, scope)
    assert seen[0]["headers"] == headers[:1]
    assert scope["headers"] == headers
    await Site().get(app, plain := http_scope())
    assert seen[1] is plain


async def test_text_before_a_tag_leaves_before_the_fragment_is_there() -> None:
    """What stands in front of a tag never waits for it."""
    site = Site({"r": "R"})
    gate = site.source.gate("r")
    sent: list[bytes] = []

    def on_send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))
        if b"before" in sent[-1]:
            gate.set()

    result = await site.get(app_of(start(), body(b"before" + tag("r") + b"after")), on_send=on_send)
    assert sent == [b"", b"before", b"Rafter"]
    assert result.complete


async def test_a_fragment_is_asked_for_before_its_body_is_there() -> None:
    """The request starts with the start tag; the fallback may still be on its way."""
    site = Site({"r": "R"})
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b'<m:fragment service="s" ref="r">fall', more=True))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.extend(site.source.calls)
        await send(body(b"back</m:fragment>z"))

    assert (await site.get(app)).body == b"Rz"
    assert seen == [("s", ["r"])]
    assert site.source.questions[0].fallback == ""


async def test_one_request_per_service_and_chunk() -> None:
    """Tags seen together go out as one request per service; order in the page stays the document's."""
    site = Site({name: name.upper() for name in "abcd"})
    chunk = tag("a", "fa") + tag("b", service="t") + tag("c") + b"-"
    result = await site.get(page_of(chunk, tag("d")))
    assert result.body == b"ABC-D"
    assert site.source.calls == [("s", ["a", "c"]), ("t", ["b"]), ("s", ["d"])]
    assert site.source.questions[0].fallback == "fa"


async def test_the_own_service_is_asked_without_a_name() -> None:
    """The app's own name, `self` and no service at all are one service."""
    site = Site({name: name for name in "abc"})
    site.mounting = {"service": "shop"}
    await site.get(page_of(tag("a", service="shop") + tag("b", service="self") + b"<m:fragment ref=c></m:fragment>"))
    assert site.source.calls == [("", ["a", "b", "c"])]


async def test_the_page_lends_its_context() -> None:
    """A fragment's request knows the page's headers, attributes, key and depth, and when it is late."""
    site = Site({"r": "x"}, budget=1.0)
    site.mounting = {"headers": [(b"a", b"b")], "attributes": {"x": 1}, "key": "k", "depth": 1}
    more = ' imports="x as y" exports=z timeout=250'
    before = asyncio.get_running_loop().time()
    await site.get(page_of(tag("r", more=more)))
    page = site.source.asked[0][2]
    assert (page.headers, page.attributes, page.key, page.depth) == (((b"a", b"b"),), {"x": 1}, "k", 1)
    assert before + 0.25 <= page.deadline <= asyncio.get_running_loop().time() + 0.25
    assert [str(binding) for binding in site.source.questions[0].imports or ()] == ["x as y"]
    assert [str(binding) for binding in site.source.questions[0].exports] == ["z"]


async def test_fragments_come_in_document_order(eventually: Eventually) -> None:
    """A fast fragment behind a slow one waits for it, whatever the order of the answers."""
    site = Site({"a": "A", "b": "B"})
    slow = site.source.gate("a")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"1" + tag("a", service="slow") + b"2" + tag("b") + b"3", more=True))
        await eventually(lambda: "s" in site.source.ended)
        slow.set()
        await send(body(b"4"))

    result = await site.get(app)
    assert result.body == b"1A2B34"


async def test_a_fragment_goes_out_while_the_app_thinks() -> None:
    """What is ready is sent even when the app sends nothing more for a while."""
    site = Site({"a": "A"})
    seen = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(tag("a") + b"!", more=True))
        await seen.wait()
        await send(body(b"z"))

    result = await site.get(app, on_send=lambda message: seen.set() if b"A!" in message.get("body", b"") else None)
    assert result.body == b"A!z"


async def test_the_app_waits_when_too_much_is_held() -> None:
    """Behind an open fragment the app may produce up to the bound, then `send` waits."""
    site = Site({"a": "A"}, max_held=100)
    gate = site.source.gate("a")
    progress: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(tag("a"), more=True))
        for number in range(5):
            await send(body(b"x" * 50, more=True))
            progress.append(number)
        await send(body(b""))

    async def watch() -> list[int]:
        for _ in range(50):
            await asyncio.sleep(0)
        held = list(progress)
        gate.set()
        return held

    watching = asyncio.create_task(watch())
    site_run = await exchange(site.mount(app))
    assert await watching == [0, 1]
    assert site_run.body == b"A" + b"x" * 250
    assert progress == [0, 1, 2, 3, 4]


async def test_other_character_sets_get_character_references() -> None:
    """In a page that is not UTF-8, what is not ASCII is written so that it is right in every character set."""
    site = Site({"r": "\ufeff<i>ö€</i>\ud800"})
    app = app_of({**start(), "headers": [(b"content-type", b"text/html; charset=latin-1")]}, body(tag("r")))
    assert (await site.get(app)).body == b"<i>&#246;&#8364;</i>&#55296;"


async def test_fragments_are_not_scanned() -> None:
    """HTML that comes back is inserted as it is, tags included."""
    site = Site({"r": tag("q").decode()})
    assert (await site.get(page_of(tag("r")))).body == tag("q")
    assert site.source.calls == [("s", ["r"])]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"<p>", tag("a", "fa"), tag("b", "fb"), tag("c", "fc"), b"< ", b"</m:fragment>"])),
    st.integers(1, 60),
)
def test_any_cut_gives_the_same_page(parts: list[bytes], size: int) -> None:
    """A page is composed the same however it was cut, in document order."""
    page = b"".join(parts)
    wanted = page.replace(tag("a", "fa"), b"A").replace(tag("b", "fb"), b"B").replace(tag("c", "fc"), b"fc")

    async def run() -> bytes:
        pieces = [page[at : at + size] for at in range(0, len(page), size)]
        return (await Site({"a": "A", "b": "B", "c": None}).get(page_of(*pieces))).body

    assert asyncio.run(run()) == wanted


# -- fallbacks -----------------------------------------------------------------------------------------------------


async def test_a_failure_shows_the_body() -> None:
    """A fragment that failed shows the tag's body, and is reported once."""
    site = Site({"r": None})
    result = await site.get(page_of(b"a" + tag("r", "<b>fb</b>") + b"z"))
    assert result.body == b"a<b>fb</b>z"
    (fallback,) = site.fallbacks
    assert (fallback.service, fallback.ref, fallback.cause, fallback.detail) == ("s", "r", FragmentCause.STATUS, "500")
    assert 0 <= fallback.seconds < 5


@pytest.mark.parametrize("error", [None, RuntimeError("boom")])
async def test_a_source_that_breaks_costs_its_fragments_only(error: Exception | None) -> None:
    """What a source leaves unanswered is a fallback, whether it just ended or raised."""
    site = Site({"a": "A"})
    site.source.error = error
    result = await site.get(page_of(tag("a") + tag("b", "fb") + b"z"))
    assert result.body == b"Afbz"
    assert site.causes == [("b", "failed")]
    assert (error is None) or ("boom" in site.fallbacks[0].detail)


async def test_a_source_may_be_any_iterator() -> None:
    """Answers need not come from a generator, and the first answer to a question counts."""

    class Answers:
        def __init__(self, questions: Sequence[FragmentQuestion]) -> None:
            self._answers: Iterator[FragmentAnswer] = iter(
                [
                    FragmentAnswer(questions[0].id, "A"),
                    FragmentAnswer(questions[0].id, "never"),
                    FragmentAnswer(questions[1].id, None),
                ]
            )

        def __aiter__(self) -> "Answers":
            return self

        async def __anext__(self) -> FragmentAnswer:
            return next(self._answers)

    class Source:
        def ask(
            self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
        ) -> AsyncIterator[FragmentAnswer]:
            return Answers(questions)

    site = Site(source=Source())
    assert (await site.get(page_of(tag("a") + tag("b", "fb")))).body == b"Afb"
    assert site.causes == [("b", "failed")]


async def test_a_tag_may_have_less_time() -> None:
    """A tag's own timeout ends only its own wait; the request ends when nobody waits for it."""
    site = Site({"a": "A", "b": "B"})
    site.source.gate("a")
    site.source.gate("b")
    result = await site.get(page_of(tag("a", "fa", more=" timeout=10ms") + tag("b", "fb", more=" timeout=30ms")))
    assert result.body == b"fafb"
    assert site.causes == [("a", "timeout"), ("b", "timeout")]
    assert site.source.ended == ["s"]


async def test_the_budget_bounds_a_tag() -> None:
    """No timeout of a tag reaches beyond the page's budget."""
    site = Site(budget=0.02)
    site.source.endless = True
    assert (
        await site.get(page_of(tag("a", "fa", more=" timeout=1h1") + tag("b", "fb", more=" timeout=60s")))
    ).body == b"fafb"
    assert site.causes == [("a", "bad-tag"), ("b", "timeout")]


async def test_a_page_past_its_deadline_asks_for_nothing() -> None:
    """Without time left the fallback is shown at once."""
    site = Site({"a": "A"})
    site.mounting = {"deadline": 0.0}
    assert (await site.get(page_of(tag("a", "fa")))).body == b"fa"
    assert (site.causes, site.source.asked) == ([("a", "timeout")], [])


async def test_a_tag_with_a_problem_shows_its_body() -> None:
    """A tag that cannot be used is not asked for; the reason is reported, and its warnings too."""
    site = Site({"a": "A"})
    result = await site.get(page_of(tag("r", "fb", service="no service", more=" ref=q") + b"z"))
    assert result.body == b"fbz"
    assert site.causes == [("", "bad-tag")]
    assert "no service" in site.fallbacks[0].detail
    assert "twice" in site.warnings[0]


async def test_fallbacks_are_composed_too() -> None:
    """Tags inside a body are fetched only when the body is shown."""
    site = Site({"outer": None, "inner": "I", "fine": "F"})
    inner = tag("inner", "fi").decode()
    result = await site.get(page_of(tag("outer", f"<p>{inner}</p>") + tag("fine", inner)))
    assert result.body == b"<p>I</p>F"
    assert [refs for _, refs in site.source.calls] == [["outer", "fine"], ["inner"]]
    assert [page.depth for _, _, page in site.source.asked] == [0, 1]


async def test_a_failed_fragment_in_a_table_leaves_no_tag() -> None:
    """An unclosed fallback tag is text; a failed one in a table is replaced by its body."""
    site = Site({"row": None})
    assert (
        await site.get(page_of(b"<table>" + tag("row", "<tr><td>1") + b"</table>"))
    ).body == b"<table><tr><td>1</table>"


async def test_nesting_is_bounded() -> None:
    """At the depth limit the fallback is shown as it is, without a look inside."""
    page = b"x"
    for level in range(5):
        page = tag(f"r{level}", page.decode())
    site = Site(max_depth=2)
    result = await site.get(page_of(page))
    assert result.body == tag("r1", tag("r0", "x").decode())
    assert site.causes == [("r4", "failed"), ("r3", "failed"), ("r2", "limit")]


async def test_nested_fragments_share_the_budget() -> None:
    """A fallback gets what is left of the time of the tag around it."""
    site = Site(budget=0.03)
    site.source.endless = True
    result = await site.get(page_of(tag("outer", "a" + tag("inner", "fi").decode())))
    assert result.body == b"afi"
    assert site.causes == [("outer", "timeout"), ("inner", "timeout")]
    assert site.source.calls == [("s", ["outer"])]


async def test_the_number_of_fragments_is_bounded() -> None:
    """Beyond the limit a tag shows its fallback."""
    site = Site({"a": "A"}, max_fragments=2)
    assert (await site.get(page_of(tag("a") * 2, tag("a", "fb") * 2))).body == b"AAfbfb"
    # Of those over the limit one is reported: a page of ten thousand tags must not write ten thousand lines.
    assert site.causes == [("a", "limit")]


async def test_a_tag_that_is_never_closed_passes_raw() -> None:
    """Everything from the start tag on is shown as it is, and its request ends."""
    site = Site({"r": "R"})
    site.source.gate("r")
    page = b'a<m:fragment service="s" ref="r">b<p>c'
    assert (await site.get(page_of(page))).body == page
    assert site.fallbacks == []
    assert "left as it is" in site.warnings[0]
    assert site.source.ended == ["s"]


async def test_an_answer_for_a_tag_that_is_no_tag_is_dropped(eventually: Eventually) -> None:
    """An early answer waits for the end tag; without one the bytes are shown as they are."""
    site = Site({"r": "R"})
    start_tag = b'<m:fragment service="s" ref="r">'

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(start_tag, more=True))
        await eventually(lambda: site.source.ended)
        await send(body(b"x" * 20000, more=True))
        await send(body(tag("r")))

    assert (await site.get(app)).body == start_tag + b"x" * 20000 + b"R"


async def test_a_whole_page_with_an_open_tag_asks_for_nothing() -> None:
    """When start and end of page come together, an unclosed tag is not asked for."""
    site = Site({"r": "R"})
    page = b'a<m:fragment service="s" ref="r">' + b"x" * 20000
    assert (await site.get(app_of(start(), body(page)))).body == page
    assert site.source.asked == []


# -- trouble on either side ----------------------------------------------------------------------------------------


async def test_an_exception_of_the_app_passes_as_it_is() -> None:
    """The app's own exception comes out, requests end, and nothing more is sent."""
    site = Site({"r": "R"})
    site.source.gate("r")
    boom = ValueError("boom")
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"a" + tag("r") + b"b", more=True))
        await asyncio.sleep(0)
        raise boom

    with pytest.raises(ValueError, match="boom") as raised:
        await site.get(app, on_send=sent.append)
    assert raised.value is boom
    assert [message.get("body") for message in sent] == [None, b"a"]
    assert site.source.ended == ["s"]
    assert site.fallbacks == []


async def test_a_cancelled_request_leaves_nothing_behind(eventually: Eventually) -> None:
    """When the server cancels the request, everything that belongs to it ends."""
    site = Site()
    site.source.gate("r")
    before = asyncio.all_tasks()
    task = asyncio.create_task(exchange(site.mount(page_of(tag("r")))))
    await eventually(lambda: site.source.asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert site.source.ended == ["s"]


async def test_a_client_that_left_is_noticed_by_receive() -> None:
    """A disconnect that the app receives ends the requests; what it still sends is the server's to refuse."""
    site = Site()
    site.source.gate("r")
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(tag("r"), more=True))
        await asyncio.sleep(0)
        assert (await receive())["type"] == "http.disconnect"
        await send(body(b"late"))

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await site.composer(app, http_scope(), receive, send)
    assert site.source.ended == ["s"]
    assert sent[-1] == body(b"late")
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("before", [[], [{"type": "http.request", "body": b"", "more_body": False}]])
async def test_a_client_that_left_is_noticed_when_the_app_has_said_all(before: list[Any]) -> None:
    """While fragments are waited for behind the end of a page, we listen for the client, whom the app hears no more."""
    site = Site()
    site.source.gate("r")
    messages = [*before, {"type": "http.disconnect"}]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(tag("r")))

    async def receive() -> Any:
        await asyncio.sleep(0)
        return messages.pop(0)

    async def send(message: Any) -> None:
        pass

    await site.composer(app, http_scope(), receive, send)
    assert site.source.ended == ["s"]


async def test_an_upload_is_not_read_for_the_news() -> None:
    """A client that still uploads when the page is complete is not listened to: nobody wants what it says."""
    site = Site({"r": "R"})
    calls = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(tag("r")))

    async def receive() -> Any:
        nonlocal calls
        calls += 1
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await site.composer(app, http_scope(), receive, send)
    assert calls == 1
    assert b"".join(message.get("body", b"") for message in sent) == b"R"


async def test_a_client_that_left_early_gets_no_fragments() -> None:
    """When the client has gone before the page begins, nothing is asked for."""
    site = Site()
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(start())
        await send(body(tag("r")))

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await site.composer(app, http_scope(), receive, send)
    assert site.source.asked == []
    assert sent == [start(), body(tag("r"))]


async def test_a_send_that_waits_ends_when_the_client_leaves() -> None:
    """A `send` that waits for a fragment does not wait for a client that has gone."""
    site = Site()
    site.source.gate("r")
    disconnect = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(receive())
            await send(start())
            await send(body(tag("r"), more=True))
            asyncio.get_running_loop().call_soon(disconnect.set)
            await send(body(b"z"))

    async def receive() -> Any:
        await disconnect.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        assert message.get("body", b"") == b""

    await site.composer(app, http_scope(), receive, send)
    assert site.source.ended == ["s"]


async def test_a_server_that_refuses_is_heard_by_the_app() -> None:
    """What the server's `send` raises reaches the app as it is, and requests end."""
    site = Site({"a": "A"})
    site.source.gate("b")
    caught: list[OSError] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        try:
            await send(body(tag("a") + tag("b", service="t")))
        except OSError as error:
            caught.append(error)
            raise

    def refuse(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            raise OSError("gone")

    with pytest.raises(OSError, match="gone") as raised:
        await site.get(app, on_send=refuse)
    assert caught == [raised.value]
    assert sorted(site.source.ended) == ["s", "t"]


async def test_a_page_that_is_not_finished_is_not_called_finished() -> None:
    """What the app left unfinished is sent as far as it goes, without an end."""
    site = Site({"r": "R"})
    result = await site.get(app_of(start(), body(tag("r") + b"a<m:frag", more=True)))
    assert result.body == b"Ra<m:frag"
    assert not result.complete


# -- other messages ------------------------------------------------------------------------------------------------


async def test_other_messages_keep_their_place() -> None:
    """Hints, pushes and bodies that go another way leave where the app sent them."""
    site = Site({"r": "R"})
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
    push = {"type": "http.response.push", "path": "/a", "headers": []}
    copy = {"type": "http.response.zerocopysend", "file": 1, "more_body": True}
    app = app_of(hint, start(), push, body(b"a" + tag("r"), more=True), push, copy, body(tag("r")))
    result = await site.get(app)
    types = [message["type"].rpartition(".")[2] for message in result.messages]
    assert types == ["early_hint", "start", "push", "body", "push", "zerocopysend", "body"]
    assert result.body == b"aR" + tag("r")


@pytest.mark.parametrize(("first", "shown"), [(b"a", b"a"), (tag("r"), b"R")])
async def test_what_was_held_back_leaves_before_another_kind_of_body(first: bytes, shown: bytes) -> None:
    """The beginning of what could have been a tag stands before the file that follows, with fragments and without."""
    copy = {"type": "http.response.zerocopysend", "file": 1, "more_body": True}
    result = await Site({"r": "R"}).get(app_of(start(), body(first + b"<m:frag", more=True), copy, body(b"end")))
    file = result.messages.index(copy)
    before = [message for message in result.messages[:file] if message["type"] == "http.response.body"]
    assert b"".join(message["body"] for message in before) == shown + b"<m:frag"
    assert result.messages[file + 1 :] == [body(b"end")]


TRAILERS = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_composed_page_has_no_trailers(method: str) -> None:
    """What the app says behind its page is not said of the composed one, and nobody waits for it."""
    head = {**start((b"trailer", b"x-sum")), "trailers": True}
    app = app_of(head, body(b"a" + tag("r"), more=True), body(b""), TRAILERS)
    result = await Site({"r": "R"}).get(app, http_scope(method=method))
    assert result.messages[0]["trailers"] is False
    assert result.header(b"trailer") is None
    assert TRAILERS not in result.messages
    assert result.complete


async def test_a_whole_page_without_tags_keeps_its_trailers() -> None:
    """It leaves exactly as the app sent it."""
    sent = [{**start(), "trailers": True}, body(b"a"), TRAILERS]
    assert (await Site().get(app_of(*sent))).messages == sent


async def test_a_second_start_is_the_servers_to_refuse() -> None:
    """We do not repair an app that starts twice."""
    result = await Site().get(app_of(start(), start(), body(b"a")))
    assert result.messages == [start(), start(), body(b"a")]


# -- gzip ----------------------------------------------------------------------------------------------------------

GZIP = (b"content-encoding", b"gzip")


@pytest.mark.parametrize("size", [7, 100_000])
async def test_gzip_is_undone(size: int) -> None:
    """A page that the app compressed is composed and leaves without coding."""
    site = Site({"r": "R"})
    coded = gzip.compress(b"a" + tag("r") + b"b" * 200_000)
    pieces = [coded[at : at + size] for at in range(0, len(coded), size)]
    result = await site.get(app_of(start(GZIP), *(body(piece, more=True) for piece in pieces), body(b"")))
    assert result.headers == [HTML, NO_STORE]
    assert result.body == b"aR" + b"b" * 200_000
    assert (await site.get(app_of(start(GZIP), body(coded)))).body == result.body


@pytest.mark.parametrize("damage", [ErrorKind.TRUNCATED, ErrorKind.PROTOCOL])
async def test_a_broken_gzip_body_never_looks_whole(damage: ErrorKind) -> None:
    """What can be read is sent, then the page ends without an end, whether the app minds or not."""
    site = Site({"r": "R"})
    coded = gzip.compress(b"a" + tag("r") + b"b" * 1000)
    broken = coded[:-8] if damage is ErrorKind.TRUNCATED else coded[:-8] + b"\0" * 8
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(GZIP))
        for message in (body(broken[:20], more=True), body(broken[20:]), body(b"")):
            try:
                await send(message)
            except UpstreamError:
                continue

    with pytest.raises(UpstreamError) as raised:
        await site.get(app, on_send=sent.append)
    assert raised.value.kind is damage
    assert b"".join(message.get("body", b"") for message in sent).startswith(b"aR")
    assert all(message.get("more_body", True) for message in sent)
