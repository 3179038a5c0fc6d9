"""What a node lets others see of its work."""

import subprocess
import sys
from typing import Any

import pytest

from hydra_asgi.backends import prometheus_metrics
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.backends.otel_tracing import TracedFragments, TracedUpstream
from hydra_asgi.core.events import DirectoryRecord, Event, Fallback, FragmentRecord
from hydra_asgi.core.fragment import FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.node_reading import NodeReading
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.node.observing import Observing
from hydra_asgi.ports import LeaseState
from hydra_asgi.testing import FakeFragments, FakeUpstream
from tests.exchange import exchange, http_scope


def nobody(ip: str) -> bool:
    return False


async def test_nobody_is_told_by_default(caplog: pytest.LogCaptureFixture) -> None:
    """Without a hook and without metrics there is nobody to tell, nothing to count and no page; the log says it."""
    observing = Observing()
    assert not observing.tell
    observing.count_request()
    observing.fell_back(Fallback("orders", "a", FragmentCause.TIMEOUT, "", 1.0))
    assert observing.maybe_page(nobody) is None
    assert len(caplog.records) == 1
    with pytest.raises(ConfigurationError, match="HYDRA_METRICS=1"):
        observing.page()


async def test_fallbacks() -> None:
    """A fallback is told to the hook as well."""
    told: list[Event] = []
    fallback = Fallback("orders", "a", FragmentCause.TIMEOUT, "", 1.0)
    Observing(told.append).fell_back(fallback)
    assert told == [fallback]


async def test_fragments() -> None:
    """What is asked of a source is told."""
    told: list[Event] = []
    source = Observing(told.append).fragments(FakeFragments({("orders", "a"): "<b>"}), ("shop", 1))
    questions = [FragmentQuestion("1", "orders", "a")]
    answers = [answer async for answer in source.ask("orders", questions, PageContext(float("inf")))]
    assert [answer.html for answer in answers] == ["<b>"]
    (record,) = told
    assert isinstance(record, FragmentRecord)
    assert (record.service, record.outcome) == ("orders", "rendered")


def without(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """As if the library of a backend were not installed."""
    monkeypatch.setitem(sys.modules, f"hydra_asgi.backends.{backend}", None)
    monkeypatch.delattr(f"hydra_asgi.backends.{backend}")


def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans are left out where they cannot be made; metrics that were asked for are an error that names the extra."""
    without(monkeypatch, "otel_tracing")
    assert prometheus_metrics.METRICS  # imported, so that there is something to take away
    without(monkeypatch, "prometheus_metrics")
    upstream, source = FakeUpstream(), FakeFragments({})
    assert Observing().upstream(upstream) is upstream
    assert Observing().fragments(source, ("", 0)) is source
    with pytest.raises(ConfigurationError, match=r"hydra-asgi\[metrics\]"):
        Observing(metrics=True)


def test_spans() -> None:
    """Where OpenTelemetry's API is installed, requests and batches may have spans."""
    assert isinstance(Observing().upstream(FakeUpstream()), TracedUpstream)
    assert isinstance(Observing().fragments(FakeFragments({}), ("", 0)), TracedFragments)


async def test_the_directory() -> None:
    """A change of the directory, and one in how well it is known, are told with what is known then."""
    told: list[Event] = []
    observing, store = Observing(told.append), MemoryStore(lambda: 0.0, epoch="e")
    directory = Directory(
        store, first_load_seconds=0, on_health=lambda: observing.directory_changed(directory), clock=lambda: 0.0
    )
    observing.follow(directory)
    Observing().follow(directory)
    for port in (1, 2):
        instance = ServiceInstance("orders", Address("http", "h", port))
        await store.register(instance, LeaseState(str(port), "orders", signed=True))
    await directory.refresh()
    assert told == [DirectoryRecord("ok", "", "e.2", 1, 2, 2)]
    observing.directory_changed(directory)
    assert len(told) == 2


@pytest.mark.parametrize(
    ("ip", "status"),
    [("127.0.0.1", 200), ("127.8.8.8", 200), ("::1", 200), ("10.0.0.1", 200), ("192.0.2.1", 404), ("nobody", 404)],
)
async def test_who_may_see_the_metrics(ip: str, status: int) -> None:
    """This machine and trusted networks."""
    page = Observing(metrics=True).maybe_page(lambda ip: ip.startswith("10."))
    assert page is not None
    assert (await exchange(page, http_scope(client=(ip, 1)))).status == status


async def test_metrics_are_told_and_read() -> None:
    """Metrics count what is told, count requests, and read the node when they are scraped."""
    observing = Observing(metrics=True, look=lambda: NodeReading("degraded"))
    observing.count_request()
    observing.tell(Fallback("orders", "a", FragmentCause.TIMEOUT, "", 1.0))
    page = (await exchange(observing.page(), http_scope(client=("192.0.2.1", 1)))).body
    assert b"hydra_requests_total 1.0" in page
    assert b'hydra_fallbacks_total{cause="timeout",service="orders"} 1.0' in page
    assert b'hydra_status{status="degraded"} 1.0' in page


async def test_a_node_that_was_not_read_is_starting() -> None:
    """Before there is anything to read, the page says so."""
    page: Any = Observing(metrics=True).page()
    assert b'hydra_status{status="starting"} 1.0' in (await exchange(page)).body


def test_metrics_that_cannot_be_kept() -> None:
    """Where the library is missing, the message names the extra to install."""
    program = """
import sys
sys.modules["prometheus_client"] = None
from hydra_asgi import ConfigurationError, Hydra
Hydra()
try:
    Hydra(metrics=True)
except ConfigurationError as error:
    assert "hydra-asgi[metrics]" in str(error), error
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
