"""Metrics, as whoever scrapes them reads them."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hydra_asgi.backends.prometheus_metrics import METRICS, PrometheusMetrics
from hydra_asgi.core.bounded_labels import MAX_PAIRS
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.events import (
    DirectoryRecord,
    EjectionRecord,
    Event,
    Fallback,
    ForwardRecord,
    FragmentRecord,
    RegistrationRecord,
)
from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.core.node_reading import NodeReading

Sample = tuple[str, tuple[tuple[str, str], ...]]


def forward(status: int = 200, version: int | None = 2, **parts: object) -> ForwardRecord:
    values: dict[str, object] = {"attempts": 1, "kind": None, "seconds": 0.02, **parts}
    return ForwardRecord(
        "orders", version, "10.0.0.1:80", "GET", status, request_bytes=0, response_bytes=9, **values  # type: ignore[arg-type]
    )  # fmt: skip


class Scraped:
    """Metrics that were told some events, and a reader of their page."""

    def __init__(self, *events: Event, reading: NodeReading = NodeReading("ok")) -> None:  # noqa: B008 -- frozen
        self.metrics = PrometheusMetrics(lambda: reading)
        for event in events:
            self.metrics(event)

    def values(self) -> dict[Sample, float]:
        self.metrics.prepare()
        content_type, page = self.metrics.page("text/plain")
        assert content_type.startswith("text/plain")
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(page.decode())
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.values().get((name, tuple(sorted(labels.items()))))


def test_forwards() -> None:
    """Forwarded requests are counted by status class, their attempts, failures and times beside them."""
    scraped = Scraped(
        forward(),
        forward(204, attempts=2),
        forward(503, None, attempts=0, kind=ErrorKind.OVERLOADED, seconds=3.0),
        forward(101),
    )
    orders = {"service": "orders", "version": "2"}
    nobody = {"service": "orders", "version": ""}
    assert scraped.value("hydra_forwards_total", **orders, status="2xx") == 2
    assert scraped.value("hydra_forwards_total", **orders, status="1xx") == 1
    assert scraped.value("hydra_forwards_total", **nobody, status="5xx") == 1
    assert scraped.value("hydra_attempts_total", **orders) == 4
    assert scraped.value("hydra_forward_failures_total", **nobody, kind="overloaded") == 1
    assert scraped.value("hydra_forward_seconds_count", **orders) == 3
    assert scraped.value("hydra_forward_seconds_bucket", **nobody, le="2.0") == 0
    assert scraped.value("hydra_forward_seconds_bucket", **nobody, le="5.0") == 1


def test_fragments_and_fallbacks() -> None:
    """Fragments are counted by outcome, fallbacks by cause; names that nobody proved are `unknown`."""
    scraped = Scraped(
        FragmentRecord("orders", "a", 2, "rendered", 0.2),
        FragmentRecord("orders", "b", 2, FragmentCause.TIMEOUT, 1.5),
        FragmentRecord("made-up", "b", None, FragmentCause.UNKNOWN_SERVICE, 0.0),
        FragmentRecord("", "own", 0, "rendered", 0.0),
        Fallback("orders", "b", FragmentCause.TIMEOUT, "late", 1.5),
        Fallback("", "own", FragmentCause.FAILED, "", 0.0),
        Fallback("made-up", "b", FragmentCause.BAD_TAG, "", 0.0),
    )
    orders = {"service": "orders", "version": "2"}
    assert scraped.value("hydra_fragments_total", **orders, outcome="rendered") == 1
    assert scraped.value("hydra_fragments_total", **orders, outcome="timeout") == 1
    assert scraped.value("hydra_fragments_total", service="unknown", version="", outcome="unknown-service") == 1
    assert scraped.value("hydra_fragments_total", service="self", version="0", outcome="rendered") == 1
    assert scraped.value("hydra_fragment_seconds_sum", **orders) == pytest.approx(1.7)
    assert scraped.value("hydra_fallbacks_total", service="orders", cause="timeout") == 1
    assert scraped.value("hydra_fallbacks_total", service="self", cause="failed") == 1
    assert scraped.value("hydra_fallbacks_total", service="unknown", cause="bad-tag") == 1
    assert not any("made-up" in str(sample) for sample in scraped.values())


def test_the_life_of_services() -> None:
    """Beats, other calls, refusals and ejections are counted, returns are not."""
    scraped = Scraped(
        RegistrationRecord("register", "orders", 2, "10.0.0.1:80", 200),
        RegistrationRecord("beat", "orders", None, "", 200),
        RegistrationRecord("beat", "orders", None, "", 200),
        RegistrationRecord("leave", "orders", None, "", 200),
        RegistrationRecord("beat", "", None, "", 410),
        EjectionRecord("orders", 2, "10.0.0.1:80", 1.0, "reset"),
        EjectionRecord("orders", 2, "10.0.0.1:80", 0.0, "status 200"),
        DirectoryRecord("ok", "", "e.1", 1, 1, 1),
    )
    assert scraped.value("hydra_registrations_total", service="orders", version="2", action="register") == 1
    assert scraped.value("hydra_registrations_total", service="orders", version="", action="leave") == 1
    assert scraped.value("hydra_beats_total", service="orders") == 2
    assert scraped.value("hydra_refusals_total", action="beat", status="410") == 1
    assert scraped.value("hydra_ejections_total", service="orders", version="2") == 1
    assert scraped.value("hydra_directory_changes_total") == 1


def test_requests() -> None:
    """Each request that reaches the node is one more, from none on."""
    scraped = Scraped()
    assert scraped.value("hydra_requests_total") == 0
    scraped.metrics.count_request()
    assert scraped.value("hydra_requests_total") == 1


def test_what_is_read_when_it_is_scraped() -> None:
    """Status, age, instances and connections are those of the last reading."""
    reading = NodeReading("degraded", 4.5, {("orders", 2): 3, ("orders", 1): 1}, (5, 2, 3), unreadable=2)
    scraped = Scraped(reading=reading)
    assert scraped.value("hydra_status", status="degraded") == 1
    assert scraped.value("hydra_status", status="ok") == 0
    assert scraped.value("hydra_directory_age_seconds") == 4.5
    assert scraped.value("hydra_instances", service="orders", version="2") == 3
    assert scraped.value("hydra_unreadable_entries") == 2
    assert [scraped.value("hydra_connections", state=state) for state in ("open", "idle", "in_use")] == [5, 2, 3]


def test_what_cannot_be_read_is_not_there() -> None:
    """A node without a directory has no age and no instances, and an upstream that does not count no connections."""
    names = {name for name, _ in Scraped().values()}
    assert "hydra_status" in names
    assert not names & {"hydra_directory_age_seconds", "hydra_instances", "hydra_connections"}


def test_the_world_cannot_make_up_series() -> None:
    """Beyond two hundred pairs of service and version everything is `other`, and adds up."""
    events = [EjectionRecord(f"service{number}", 1, "", 1.0, "") for number in range(MAX_PAIRS + 50)]
    reading = NodeReading("ok", 0.0, {("service0", 1): 1, ("late1", 1): 2, ("late2", 1): 3})
    scraped = Scraped(*events, forward(), forward(), reading=reading)
    assert scraped.value("hydra_forwards_total", service="other", version="other", status="2xx") == 2
    assert scraped.value("hydra_ejections_total", service="other", version="other") == 50
    assert scraped.value("hydra_instances", service="other", version="other") == 5
    ejections = [sample for sample in scraped.values() if sample[0] == "hydra_ejections_total"]
    assert len(ejections) == MAX_PAIRS + 1


def test_hostile_names() -> None:
    """A name with quotes and line ends is one value of one label."""
    name = 'a"\n\\b'
    assert Scraped(EjectionRecord(name, 1, "", 1.0, "")).value("hydra_ejections_total", service=name, version="1") == 1


def test_open_metrics() -> None:
    """Whoever asks for OpenMetrics gets it."""
    metrics = PrometheusMetrics(lambda: NodeReading("ok"))
    content_type, page = metrics.page("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")


def test_nodes_do_not_share_a_registry() -> None:
    """Two nodes in one process count for themselves."""
    first, second = Scraped(), Scraped()
    first.metrics.count_request()
    assert (first.value("hydra_requests_total"), second.value("hydra_requests_total")) == (1, 0)


def test_the_table_in_the_documentation() -> None:
    """The documentation lists every metric with its kind, labels and meaning, and no other."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    section = page.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    table = [
        f"| `{name}` | {text.kind} | {', '.join(f'`{label}`' for label in text.labels) or '-'} | {text.text} |"
        for name, text in METRICS.items()
    ]
    assert [line for line in section.splitlines() if line.startswith("| `")] == table
