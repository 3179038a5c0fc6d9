"""A whole node that is watched: what is forwarded and composed is seen in metrics, events, logs and answers."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from prometheus_client.parser import text_string_to_metric_families

from hydra_asgi import ConfigurationError, Hydra, HydraMiddleware
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.events import DirectoryRecord, EjectionRecord, Event, Fallback, ForwardRecord, FragmentRecord
from hydra_asgi.errors import UpstreamError
from tests.doubles.site import Echo, Site
from tests.exchange import Exchange, exchange, http_scope

HOST = (b"host", b"site.test")
ID = b"x-request-id"


def shop(hydra: Hydra) -> FastAPI:
    app = FastAPI()

    @app.get("/", response_class=HTMLResponse)
    async def home() -> str:
        return '<m:fragment service="orders" ref="checkout">closed</m:fragment>'

    app.add_middleware(HydraMiddleware, hydra=hydra)
    return app


class Watched:
    """A shop in whose site there is an order service."""

    def __init__(self, **options: Any) -> None:
        self.events: list[Event] = []
        self.site = Site(service="shop", version=3, trusted=["10.0.0.0/8"], on_event=self.events.append, **options)
        self.app = shop(self.site.hydra)
        self.orders = Echo("[]", [(b"content-type", b"application/json")])

    async def get(self, path: str, headers: Any = (), client: tuple[str, int] = ("10.0.0.9", 1)) -> Exchange:
        path, _, query = path.partition("?")
        return await exchange(self.app, http_scope(path, headers=[HOST, *headers], client=client, query=query.encode()))

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def scraped(self) -> dict[str, float]:
        page = await self.get("/h/metrics")
        assert page.status == 200
        return {
            f"{sample.name}{sorted(sample.labels.values())}": sample.value
            for family in text_string_to_metric_families(page.body.decode())
            for sample in family.samples
        }


@asynccontextmanager
async def watched(**options: Any) -> AsyncIterator[Watched]:
    node = Watched(**options)
    await node.site.add("orders", node.orders, "/orders", version=2, fragments=["checkout"])
    await node.site.hydra.start(node.app)
    try:
        yield node
    finally:
        await node.site.hydra.stop()


async def test_a_scrape_counts_what_happened() -> None:
    """Two forwarded requests and a page whose fragment is missing, and the page that is scraped says just that."""
    async with watched(metrics=True) as node:
        for _ in range(2):
            assert (await node.get("/orders?token=hush")).status == 200
        assert (await node.get("/")).body == b"closed"
        values = await node.scraped()
    assert values["hydra_requests_total[]"] == 3
    assert values["hydra_forwards_total['2', '2xx', 'orders']"] == 2
    assert values["hydra_attempts_total['2', 'orders']"] == 2
    assert values["hydra_forward_seconds_count['2', 'orders']"] == 2
    assert values["hydra_fragments_total['2', 'broken-answer', 'orders']"] == 1
    assert values["hydra_fallbacks_total['broken-answer', 'orders']"] == 1
    assert values["hydra_instances['2', 'orders']"] == 1
    assert values["hydra_directory_age_seconds[]"] >= 0
    assert values["hydra_status['starting']"] == 1
    assert not any("hush" in name for name in values)


async def test_metrics_are_for_inner_callers() -> None:
    """Trusted networks and this machine see them, nobody else, and nobody at all where they were not asked for."""
    async with watched(metrics=True) as node:
        assert (await node.get("/h/metrics", client=("127.0.0.1", 1))).status == 200
        assert (await node.get("/h/metrics", client=("192.0.2.1", 1))).status == 404
        assert (await node.get("/h/metrics", [(b"x-forwarded-for", b"127.0.0.1")])).status == 404
        assert (await exchange(node.site.hydra.metrics, http_scope(client=("192.0.2.1", 1)))).status == 200
    async with watched() as node:
        assert (await node.get("/h/metrics")).status == 404
        with pytest.raises(ConfigurationError, match="metrics=True"):
            _ = node.site.hydra.metrics


async def test_the_environment_asks_for_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every option, by its variable."""
    monkeypatch.setenv("HYDRA_METRICS", "1")
    assert Hydra().options.metrics
    assert not Hydra(metrics=False).options.metrics


async def test_a_hook_is_told_everything() -> None:
    """The forwarded request, the fragment and its fallback, the directory, and an instance in trouble."""
    async with watched() as node:
        await node.get("/orders", [(ID, b"r1")])
        await node.get("/", [(ID, b"r2")])

        async def reset(scope: Any, receive: Any, send: Any) -> None:
            raise UpstreamError(ErrorKind.RESET)

        node.site.apps["orders-2:80"] = reset
        for _ in range(4):
            await node.get("/orders")
    forward = node.told(ForwardRecord)[0]
    assert (forward.service, forward.version, forward.status, forward.path) == ("orders", 2, 200, "/orders")
    assert forward.request_id == "r1"
    (fragment,) = node.told(FragmentRecord)
    assert (fragment.service, fragment.version, fragment.outcome) == ("orders", 2, "broken-answer")
    (fallback,) = node.told(Fallback)
    assert (fallback.service, fallback.request_id) == ("orders", "r2")
    assert node.told(DirectoryRecord)[0].instances >= 1
    assert {event.service for event in node.told(EjectionRecord)} == {"orders"}


async def test_one_name_from_the_client_to_the_fragment() -> None:
    """A trusted proxy's name of the request reaches the instance, the fragment's service, the log and the client."""
    async with watched() as node:
        answer = await node.get("/orders", [(ID, b"r1")])
        assert answer.all(ID) == [b"r1"]
        assert node.orders.header(ID) == b"r1"
        page = await node.get("/", [(ID, b"r2")])
        assert page.all(ID) == [b"r2"]
        assert b"r2" in node.orders.bodies[-1]  # our nodes are lent fields in the body
        stranger = await node.get("/orders", [(ID, b"theirs")], client=("192.0.2.1", 1))
        assert stranger.header(ID) == node.orders.header(ID) != b"theirs"


async def test_what_the_site_says_itself_is_named_too() -> None:
    """Whoever reports an error can say which request it was."""
    async with watched() as node:
        answer = await node.get("/nowhere")
        assert answer.status in (404, 503)
        assert answer.header(ID)
        assert (await node.get("/a/%2e%2e/b")).header(ID)


async def test_an_unsound_trace_ends_here() -> None:
    """The instance gets no malformed trace, and a good one as it came."""
    good = b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"
    async with watched() as node:
        await node.get("/orders", [(b"traceparent", b"x" * 600), (b"tracestate", b"a=1")])
        assert node.orders.header(b"traceparent") is node.orders.header(b"tracestate") is None
        await node.get("/orders", [(b"traceparent", good)])
        assert node.orders.header(b"traceparent") == good


async def test_the_log_has_one_line_for_each(caplog: pytest.LogCaptureFixture) -> None:
    """A forwarded request and a fallback are a line each, and hold no secret."""
    async with watched() as node:
        with caplog.at_level(logging.INFO, "hydra_asgi.access"):
            await node.get("/orders?token=hush", [(ID, b"r1"), (b"cookie", b"sid=hush")])
            await node.get("/", [(ID, b"r2"), (b"authorization", b"Bearer hush")])
    access = [record for record in caplog.records if record.name == "hydra_asgi.access"]
    assert [record.getMessage().partition(" ")[0] for record in access] == ["forwarded:"]
    assert "service=orders version=2 instance=orders-2:80 method=GET path=/orders status=200" in access[0].getMessage()
    assert "request=r1" in access[0].getMessage()
    (fallback,) = [record for record in caplog.records if record.name == "hydra_asgi.fragments"]
    assert "service=orders ref=checkout cause=broken-answer" in fallback.getMessage()
    assert fallback.getMessage().endswith("request=r2")
    assert "hush" not in caplog.text
