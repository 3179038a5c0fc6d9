"""Pages whose fragments come from services that do everything wrong: the page is whole, in time, with the fallbacks.

The services are raw servers that joined through the real control plane; the page is a FastAPI app under uvicorn.
"""

import asyncio
import gzip
import json
import logging
import re
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.core.instance import Address
from tests.e2e.hostile import KEY, SECRET, Member, announced, get
from tests.gateway.servers import serving
from tests.raw_server import raw_server

pytestmark = pytest.mark.e2e

BUDGET = 1.5
SLACK = 3.0
"""Two cores that others use too."""

Answer = Callable[[asyncio.StreamWriter, Sequence[str]], Awaitable[None]]


# -- services ---------------------------------------------------------------------------------------------------------


@dataclass
class FragmentService:
    """Answers questions about fragments in its own way; keeps what it was asked."""

    answer: Answer
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            found = re.search(rb"(?i)content-length: ([0-9]+)", head)
            body = await reader.readexactly(int(found[1]) if found else 0)
            self.heads.append(head)
            self.bodies.append(body)
            await self.answer(writer, [one["id"] for one in json.loads(body)["requests"]])


def says(body: bytes, *fields: bytes, status: bytes = b"200 OK", kind: bytes = b"application/x-ndjson") -> Answer:
    """The same answer to every question."""

    async def answer(writer: asyncio.StreamWriter, ids: Sequence[str]) -> None:
        lines = [b"HTTP/1.1 " + status, b"content-type: " + kind, b"content-length: %d" % len(body), *fields]
        writer.write(b"\r\n".join([*lines, b"", body]))
        await writer.drain()

    return answer


def renders(html: object, *, lines: bool = True, times: int = 1, prefix: bytes = b"", suffix: bytes = b"") -> Answer:
    """This HTML for every fragment."""

    async def answer(writer: asyncio.StreamWriter, ids: Sequence[str]) -> None:
        entries = [json.dumps({"id": id_, "renderedHTML": html}).encode() for id_ in ids] * times
        if lines:
            await says(prefix + b"".join(entry + b"\n" for entry in entries) + suffix)(writer, ids)
        else:
            await says(b"[" + b",".join(entries) + b"]", kind=b"application/json")(writer, ids)

    return answer


async def never(writer: asyncio.StreamWriter, ids: Sequence[str]) -> None:
    await asyncio.Event().wait()


def stops_after(*pieces: bytes, close: bool = False, pause: float = 0.0) -> Answer:
    """Some bytes, then silence or the end of the connection."""

    async def answer(writer: asyncio.StreamWriter, ids: Sequence[str]) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if close:
            writer.close()
        else:
            await asyncio.Event().wait()

    return answer


def bomb() -> bytes:
    """A gibibyte of blanks behind the start of an answer, as a mebibyte of gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [packer.compress(b'[{"id":"1","renderedHTML":"')]
    mebibyte = b" " * 1_048_576
    packed += [packer.compress(mebibyte) for _ in range(64)]
    return b"".join([*packed, packer.flush()])


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
HALF_LINE = b'{"id":"1","renderedHTML":"<b>ha'
TEN = "x" * 10_485_760

TROUBLES: dict[str, tuple[Answer, str]] = {
    "hung": (never, "timeout"),
    "hung-in-head": (stops_after(b"HTTP/1.1 200 OK\r\ncontent-"), "timeout"),
    "hung-after-head": (stops_after(CHUNKED), "timeout"),
    "hung-in-line": (stops_after(CHUNKED + b"1f\r\n" + HALF_LINE + b"\r\n"), "timeout"),
    "drip": (stops_after(CHUNKED, *[b"1\r\n \r\n"] * 400, pause=0.01), "timeout"),
    "status-404": (says(b"not here", status=b"404 Not Found"), "status"),
    "status-500": (says(b"Traceback", status=b"500 Oh"), "status"),
    "status-401": (says(b"{}", status=b"401 Unauthorized"), "status"),
    "status-204": (says(b"", status=b"204 No Content"), "status"),
    "redirect": (says(b"", b"location: http://169.254.169.254/", status=b"302 Found"), "redirect"),
    "login-page": (says(b"<html>log in</html>", kind=b"text/html"), "content-type"),
    "no-type": (says(b"[]", kind=b""), "content-type"),
    "ten-mebibytes": (renders(TEN), "too-large"),
    "ten-in-array": (renders(TEN, lines=False), "too-large"),
    "garbage": (stops_after(b"\x00\xff\x16\x03" * 100, close=True), "broken-answer"),
    "garbage-body": (says(b"\x00\xff\x16\x03" * 100), "broken-answer"),
    "gzip-bomb": (says(bomb(), b"content-encoding: gzip", kind=b"application/json"), "too-large"),
    "gzip-lie": (says(b"[]", b"content-encoding: gzip", kind=b"application/json"), "broken-answer"),
    "gzip-cut": (says(gzip.compress(b"[]")[:-4], b"content-encoding: gzip"), "broken-answer"),
    "brotli": (says(b"[]", b"content-encoding: br"), "broken-answer"),
    "junk-lines": (renders("late", prefix=b"junk\n"), "broken-answer"),
    "deep-line": (renders("late", prefix=b"[" * 200_000 + b"\n"), "broken-answer"),
    "number-line": (renders("late", prefix=b"7" * 200_000 + b"\n"), "broken-answer"),
    "cut-line": (stops_after(HEAD + b"content-length: 500\r\n\r\n" + HALF_LINE, close=True), "broken-answer"),
    "cut-quietly": (says(HALF_LINE), "broken-answer"),
    "closes": (stops_after(close=True), "broken-answer"),
    "other-ids": (says(b'{"id":"999","renderedHTML":"of somebody else"}\n'), "broken-answer"),
    "odd-ids": (says(b'{"id":1,"renderedHTML":"a number"}\n{"id":null}\n{"id":["1"]}\n'), "broken-answer"),
    "empty": (says(b""), "broken-answer"),
    "not-an-array": (says(b'{"1":"x"}', kind=b"application/json"), "broken-answer"),
    "null": (renders(None), "failed"),
    "number": (renders(7), "broken-answer"),
    "surrogate": (renders("\ud800"), "broken-answer"),
    "strange-cause": (
        says(b'{"id":"1","renderedHTML":null,"cause":"\\r\\nevil","detail":"a\\r\\nb\\u001b[31m"}\n'),
        "failed",
    ),
}
"""Service -> its answer and the cause that the log gives."""

HEAVY = ["ten-mebibytes", "ten-in-array", "gzip-bomb"]
"""Asked for one after another: their mebibytes pass through the one loop of this test."""

ALL = [*TROUBLES, "unknown-service", "unknown-ref", "refused"]
CAUSES = {name: cause for name, (_, cause) in TROUBLES.items()}
CAUSES |= {"unknown-service": "unknown-service", "unknown-ref": "unknown-ref", "refused": "connect-refused"}


# -- the site ---------------------------------------------------------------------------------------------------------


class Log(logging.Handler):
    """Keeps every line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Site:
    """A running page app; its pages are given as text, by name."""

    port: int
    pages: dict[str, Any]
    log: Log
    hydra: Hydra
    stack: AsyncExitStack

    async def join(self, name: str, answer: Answer, *, refs: Sequence[str] = ("part",)) -> FragmentService:
        """Start a raw service and register it over HTTP, signed."""
        service = FragmentService(answer)
        server = await self.stack.enter_async_context(raw_server(service))
        await self.register(name, server.address, refs)
        return service

    async def register(self, name: str, address: Address, refs: Sequence[str] = ("part",)) -> Member:
        member = Member(self.port, announced(name, address, fragments=refs))
        answer = await member.register()
        assert answer.status == 200, answer
        return member

    async def known(self, *names: str) -> None:
        """Wait until the directory has these services."""
        async with asyncio.timeout(5):
            while not set(names) <= {one.name for one in self.hydra.overview.services}:  # noqa: ASYNC110 - as for `answers`
                await asyncio.sleep(0.01)

    def fallbacks(self, service: str) -> list[str]:
        return [line for line in self.log.lines if f"service={service} " in line]


@asynccontextmanager
async def site(budget: float = BUDGET, **options: Any) -> AsyncIterator[Site]:
    hydra = Hydra(gateway=True, key=KEY, secret=SECRET, fragment_budget=budget, **options)
    app = FastAPI()
    pages: dict[str, Any] = {}

    @app.api_route("/pages/{name}", methods=["GET", "HEAD", "POST"])
    async def page(request: Request, name: str) -> Any:
        made = pages[name]
        if isinstance(made, str):
            return HTMLResponse(made)
        return made if isinstance(made, Response) else made(request)

    app.add_middleware(HydraMiddleware, hydra=hydra)
    log = Log()
    logger = logging.getLogger("hydra_asgi")
    logger.addHandler(log)
    try:
        async with AsyncExitStack() as stack, serving("uvicorn-httptools", app) as port:
            yield Site(port, pages, log, hydra, stack)
            await hydra.stop()
    finally:
        logger.removeHandler(log)


def tag(service: str, ref: str = "part", body: str | None = None) -> str:
    fallback = f"<i>no {service}</i>" if body is None else body
    return f'<m:fragment service="{service}" ref="{ref}">{fallback}</m:fragment>'


# -- every trouble ----------------------------------------------------------------------------------------------------


async def run_all() -> dict[str, BaseException | None]:
    """Every trouble on a page of its own, at the same time, each beside a good fragment."""
    async with site() as where:
        await where.join("good", renders("<b>good</b>"))
        for name, (answer, _) in TROUBLES.items():
            await where.join(name, answer)
        await where.join("unknown-ref", renders("<b>not asked for</b>"), refs=("other",))
        async with raw_server(never) as closing:  # type: ignore[arg-type]  # never asked for anything
            await where.register("refused", closing.address)
        await where.known("good", "refused", *TROUBLES)
        where.log.lines.clear()
        for name in ALL:
            where.pages[name] = f"<p>before</p>{tag(name)}<p>between</p>{tag('good')}<p>after</p>"
        light = [name for name in ALL if name not in HEAVY]
        ran = await asyncio.gather(*(check_page(where, name) for name in light), return_exceptions=True)
        for name in HEAVY:
            ran += await asyncio.gather(check_page(where, name), return_exceptions=True)
    return dict(zip([*light, *HEAVY], ran, strict=True))


async def check_page(where: Site, name: str) -> None:
    began = time.monotonic()
    page = await get(where.port, f"/pages/{name}")
    seconds = time.monotonic() - began
    assert page.status == 200
    assert page.is_whole
    expected = f"<p>before</p><i>no {name}</i><p>between</p><b>good</b><p>after</p>"
    assert page.body.decode() == expected, page.body[:500]
    assert seconds < BUDGET + SLACK, seconds
    (line,) = where.fallbacks(name)
    assert line.isprintable(), line
    found = re.fullmatch(r"fallback shown: service=\S+ ref=part cause=(\S+) seconds=([0-9.]+) detail=.*", line)
    assert found is not None, line
    assert found[1] == CAUSES[name], line
    assert float(found[2]) < BUDGET + SLACK, line
    if CAUSES[name] == "timeout":
        assert float(found[2]) >= BUDGET * 0.9, line


@pytest.fixture(scope="module")
def outcomes() -> dict[str, BaseException | None]:
    return asyncio.run(run_all())


@pytest.mark.parametrize("name", ALL)
def test_a_fragment_in_trouble(outcomes: dict[str, BaseException | None], name: str) -> None:
    """The page is 200 and whole with the fallback, in time, logged once; its other fragment is unharmed."""
    failure = outcomes[name]
    if failure is not None:
        raise failure


async def test_what_came_before_the_trouble_stands() -> None:
    """Of an answer that goes wrong later, the fragments that were complete are shown, and each once."""
    async with site() as where:
        broken = b'{"id":"1","renderedHTML":"<b>one</b>"}\n{"id":"1","renderedHTML":"<b>again</b>"}\nnonsense\n'
        await where.join("half", says(broken), refs=("one", "two"))
        await where.known("half")
        where.pages["p"] = f"{tag('half', 'one')}, {tag('half', 'two')}"
        page = await get(where.port, "/pages/p")
        assert page.body == b"<b>one</b>, <i>no half</i>"
        assert len(where.fallbacks("half")) == 1


# -- floods -----------------------------------------------------------------------------------------------------------


class Lag:
    """The longest processor time of the loop's thread between two turns: other processes do not count."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now


@pytest.mark.parametrize(
    ("name", "line"),
    [("empty-lines", b"\n"), ("empty-objects", b"{}\n"), ("foreign-ids", b'{"id":"x","renderedHTML":"y"}\n')],
)
async def test_a_flood_of_lines(name: str, line: bytes) -> None:
    """Megabytes of lines that say nothing cost the page its fragment, and the loop no more than a moment."""
    async with site() as where:
        await where.join(name, says(line * (8_388_608 // len(line))))
        await where.known(name)
        where.pages["p"] = "".join(tag(name) for _ in range(20))
        lag = Lag()
        watching = asyncio.create_task(lag.watch())
        began, cpu = time.monotonic(), time.process_time()
        page = await get(where.port, "/pages/p")
        watching.cancel()
        assert page.body.decode() == f"<i>no {name}</i>" * 20
        assert time.monotonic() - began < BUDGET
        assert time.process_time() - cpu < 5.0
        assert lag.longest < 0.5
        assert all("cause=too-large" in line for line in where.fallbacks(name))


async def test_a_gzip_body_of_empty_members() -> None:
    """A compressed body that never becomes anything ends with the budget, and the loop turns meanwhile."""
    async with site() as where:
        members = gzip.compress(b"") * 20_000
        await where.join("members", says(members, b"content-encoding: gzip"))
        await where.known("members")
        where.pages["p"] = tag("members")
        lag = Lag()
        watching = asyncio.create_task(lag.watch())
        page = await get(where.port, "/pages/p")
        watching.cancel()
        assert page.body == b"<i>no members</i>"
        assert lag.longest < 0.5


# -- rows 50 to 54 ----------------------------------------------------------------------------------------------------


NESTED = '<m:fragment service="good" ref="part">' * 40_000
ATTRIBUTES = f'<m:fragment service="good" ref="part" {" ".join(f"a{n}=1" for n in range(40_000))}>x</m:fragment>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(NESTED, NESTED, id="40,000 nested tags without an end"),
        pytest.param(NESTED + "</m:fragment>" * 40_000, None, id="40,000 nested tags"),
        pytest.param(ATTRIBUTES, ATTRIBUTES, id="40,000 attributes"),
        pytest.param("<div " * 40_000, "<div " * 40_000, id="40,000 tags in a tag"),
        pytest.param(f"<!-- {tag('good')} -->", f"<!-- {tag('good')} -->", id="in a comment"),
        pytest.param(f"<script>{tag('good')}</script>", f"<script>{tag('good')}</script>", id="in a script"),
        pytest.param(f"<textarea>{tag('good')}</textarea>", f"<textarea>{tag('good')}</textarea>", id="in a textarea"),
        pytest.param(f"<a title='{tag('good')}'>", f"<a title='{tag('good')}'>", id="in an attribute"),
        pytest.param(f"<template>{tag('good')}</template>", "<template><b>good</b></template>", id="in a template"),
    ],
)
async def test_tags_without_measure(text: str, expected: str | None) -> None:
    """Row 50: what is no tag stays as it is, what is too much stays as it is, and neither takes long."""
    async with site() as where:
        await where.join("good", renders("<b>good</b>"))
        await where.known("good")
        where.pages["p"] = f"<p>before</p>{text}"
        cpu = time.process_time()
        page = await get(where.port, "/pages/p")
        assert time.process_time() - cpu < 20.0
        assert page.status == 200
        if expected is not None:
            assert page.body.decode() == f"<p>before</p>{expected}"
        else:  # some end tags close something; no byte of the rest is lost
            assert page.body.startswith(b"<p>before</p>")


async def test_ten_thousand_fragments(caplog: pytest.LogCaptureFixture) -> None:
    """Row 50: a page with 10,000 tags asks for 64, shows the fallback of the others, and is there soon."""
    caplog.set_level(logging.CRITICAL, "hydra_asgi")
    async with site(budget=15.0) as where:
        service = await where.join("good", renders("<b>good</b>"))
        await where.known("good")
        where.pages["p"] = tag("good") * 10_000
        began = time.monotonic()
        page = await get(where.port, "/pages/p")
        assert time.monotonic() - began < 15.0
        assert page.body.decode() == "<b>good</b>" * 64 + "<i>no good</i>" * 9_936
        assert sum(len(json.loads(body)["requests"]) for body in service.bodies) == 64


async def test_a_fragment_that_includes_itself() -> None:
    """Row 50: an app whose fragment is the page around it ends after three rounds."""
    hydra = Hydra(gateway=True, service="self-lover", key=KEY, secret=SECRET, fragment_budget=2.0)
    app = FastAPI()
    rounds = 0

    @app.get("/")
    @hydra.fragment("part", page=True)
    async def page() -> HTMLResponse:
        nonlocal rounds
        rounds += 1
        return HTMLResponse(f"<p>{rounds}</p>{tag('self-lover')}{tag('self')}")

    app.add_middleware(HydraMiddleware, hydra=hydra)
    async with serving("uvicorn-httptools", app) as port:
        answer = await get(port, "/")
        await hydra.stop()
    assert answer.status == 200
    assert rounds == 1 + 2 + 4 + 8
    assert b"<i>no self</i>" in answer.body


async def test_fragment_html_that_tears_at_the_page() -> None:
    """Row 51: a fragment's bytes stand where its tag stood, and a tag inside of them is asked for by nobody."""
    html = f"</body></html><script>1</script><base href=//evil><meta http-equiv=refresh><b {tag('other')} <!-- "
    async with site() as where:
        await where.join("rude", renders(html))
        other = await where.join("other", renders("<b>other</b>"))
        await where.known("rude", "other")
        where.pages["p"] = f"<p>{tag('rude')}</p>{tag('rude')}<p>end</p>"
        page = await get(where.port, "/pages/p")
        assert page.body.decode() == f"<p>{html}</p>{html}<p>end</p>"
        assert not other.bodies


async def test_names_from_users_open_nothing() -> None:
    """Row 51: quotes, markup and paths in a tag's attributes name no service and reach nobody."""
    async with site() as where:
        good = await where.join("good", renders("<b>good</b>"))
        await where.known("good")
        names = ["good/../x", "http://evil.test/", "good\r\nx: y", "good&quot;", "", "*", "127.0.0.1:80", "good%00"]
        tags = [f'<m:fragment service="{name}" ref="../part">no</m:fragment>' for name in names]
        tags += [
            f'<m:fragment service="good" ref="{ref}">no</m:fragment>' for ref in ("../x y", "", "a\x00b", "x" * 500)
        ]
        tags += ['<m:fragment service="good" ref="part" imports="a b, *, __class__">no</m:fragment>']
        where.pages["p"] = "|".join(tags)
        page = await get(where.port, "/pages/p")
        assert set(page.body.decode().split("|")) == {"no"}
        assert not good.bodies
        assert all(line.isprintable() for line in where.log.lines)


async def test_nothing_leaks_to_fragments() -> None:
    """Row 53: no cookie, authorization or field of the visitor reaches a fragment's service, but language and trace."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with site() as where:
        good = await where.join("good", renders("<b>good</b>"))
        await where.known("good")
        where.pages["p"] = '<m:fragment service="good" ref="part" imports="secret">no</m:fragment>'
        await get(
            where.port,
            "/pages/p?token=hush",
            "cookie: sid=hush",
            "authorization: Basic hush",
            "x-custom: hush",
            "referer: http://site.test/?hush",
            "proxy-authorization: hush",
            "accept-language: nl",
            f"traceparent: {trace}",
        )
        said = good.heads[0] + good.bodies[0]
        assert b"hush" not in said
        assert trace.encode() in said
        assert b"nl" in said


async def test_a_composed_page_is_kept_by_nobody() -> None:
    """Row 54: what the app says about caching and validators of its page does not survive foreign parts."""
    said = {
        "cache-control": "public, max-age=3600",
        "cdn-cache-control": "max-age=9",
        "etag": '"1"',
        "last-modified": "Tue, 24 Nov 2026 10:00:00 GMT",
        "expires": "Tue, 24 Nov 2030 10:00:00 GMT",
        "digest": "sha-256=x",
        "accept-ranges": "bytes",
        "vary": "cookie",
    }
    async with site() as where:
        await where.join("good", renders("<b>good</b>"))
        await where.known("good")
        where.pages["p"] = lambda request: HTMLResponse(f"<p>{tag('good')}", headers=said)
        conditions = ('if-none-match: "1"', "range: bytes=0-3", "accept: text/html")
        for method in ("GET", "HEAD", "POST"):
            page = await get(where.port, "/pages/p", *conditions, "content-length: 0", method=method)
            assert page.status == 200
            assert page.all(b"cache-control") == [b"no-store"]
            assert page.header(b"vary") == b"cookie"
            for name in said.keys() - {"cache-control", "vary"}:
                assert page.header(name.encode()) is None, name
            assert page.header(b"content-length") is None
            assert page.body == (b"" if method == "HEAD" else b"<p><b>good</b>")


async def test_one_service_in_trouble_does_not_slow_another() -> None:
    """Twenty hung fragments of twenty services cost a page one budget, and what stands before them leaves at once."""
    async with site() as where:
        names = [f"hung{number}" for number in range(20)]
        for name in names:
            await where.join(name, never)
        await where.known(*names)

        async def slowly(request: Request) -> AsyncIterator[str]:
            yield "<p>before</p>"
            yield "".join(tag(name) for name in names)

        where.pages["p"] = lambda request: StreamingResponse(slowly(request), media_type="text/html")
        reader, writer = await asyncio.open_connection("127.0.0.1", where.port)
        began = time.monotonic()
        writer.write(b"GET /pages/p HTTP/1.1\r\nhost: site.test\r\nconnection: close\r\n\r\n")
        await reader.readuntil(b"<p>before</p>")
        assert time.monotonic() - began < BUDGET - 0.1
        rest = await reader.read()
        assert time.monotonic() - began < BUDGET + SLACK
        assert rest.count(b"<i>no hung") == 20
        writer.close()
