"""Metrics for Prometheus, made of what a node tells (`core.events`) and of what can be read off it when it is scraped.

Rules for editors: every metric stands in `METRICS`, from where the documentation's table is checked. Labels are the
service and its version, at most `MAX_PAIRS` of them, and words from closed lists; never a path, an instance, a user.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from hydra_asgi.core.bounded_labels import OTHER, BoundedLabels, Labels
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

__all__ = ["METRICS", "MetricText", "PrometheusMetrics"]

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
"""From what a forwarded request costs at least to the deadline of all its attempts."""

UNKNOWN: Final = ("unknown", "")
"""Labels for names that only a page or a peer has said: made-up ones must not use up the labels of real services."""

_UNPROVEN = frozenset({FragmentCause.UNKNOWN_SERVICE, FragmentCause.BAD_TAG, FragmentCause.LIMIT})
_STATUSES = ("starting", "ok", "degraded", "draining")

_SERVICE = ("service", "version")


@dataclass(frozen=True, slots=True)
class MetricText:
    """What is said about a metric.

    Attributes:
        kind: how it behaves.
        labels: their names.
        text: one sentence.
    """

    kind: Literal["counter", "histogram", "gauge"]
    labels: tuple[str, ...]
    text: str


METRICS: Final[dict[str, MetricText]] = {
    "hydra_requests_total": MetricText("counter", (), "Requests that reached this node, its control plane left out."),
    "hydra_forwards_total": MetricText(
        "counter", (*_SERVICE, "status"), "Forwarded requests by the class of the status that the client was sent."
    ),
    "hydra_forward_failures_total": MetricText(
        "counter", (*_SERVICE, "kind"), "Forwarded requests that failed, or broke off, by the kind of failure."
    ),
    "hydra_forward_seconds": MetricText(
        "histogram", _SERVICE, "Seconds from a forwarded request to the end of its response."
    ),
    "hydra_attempts_total": MetricText(
        "counter", _SERVICE, "Requests sent to instances; more than were forwarded means retries."
    ),
    "hydra_ejections_total": MetricText("counter", _SERVICE, "Instances that were spared because they failed."),
    "hydra_fragments_total": MetricText(
        "counter", (*_SERVICE, "outcome"), "Fragments that were asked for, by what came of it."
    ),
    "hydra_fragment_seconds": MetricText("histogram", _SERVICE, "Seconds from the question to what came of it."),
    "hydra_fallbacks_total": MetricText(
        "counter", ("service", "cause"), "Fragments of this node's own pages that showed their fallback."
    ),
    "hydra_registrations_total": MetricText(
        "counter", (*_SERVICE, "action"), "Registrations, drains and farewells of services, beats left out."
    ),
    "hydra_beats_total": MetricText("counter", ("service",), "Beats that were taken."),
    "hydra_refusals_total": MetricText(
        "counter", ("action", "status"), "Control-plane calls of services that were refused."
    ),
    "hydra_directory_changes_total": MetricText(
        "counter", (), "Times that the directory, or how well it is known, has changed."
    ),
    "hydra_directory_age_seconds": MetricText(
        "gauge", (), "Seconds since the store last confirmed what this node knows."
    ),
    "hydra_status": MetricText("gauge", ("status",), "1 for what `/h/ready` says now, 0 for the others."),
    "hydra_instances": MetricText("gauge", _SERVICE, "Active instances that this node knows."),
    "hydra_unreadable_entries": MetricText(
        "gauge", (), "Entries of the store that are left out, because this node cannot read them; the log names them."
    ),
    "hydra_connections": MetricText("gauge", ("state",), "Connections to instances: open, idle and in use."),
}


class PrometheusMetrics:
    """Implements `ports.Hook`, and writes the page that is scraped. Has a registry of its own.

    Args:
        look: reads the node; called by `prepare`.
    """

    def __init__(self, look: Callable[[], NodeReading]) -> None:
        self._look = look
        self._labels = BoundedLabels()
        self._registry = CollectorRegistry(auto_describe=False)
        self._gauges = _Gauges(self._labels)
        self._registry.register(self._gauges)
        self._series = {name: _Series(name, text, self._registry) for name, text in METRICS.items() if _is_kept(text)}
        self._requests = self._series["hydra_requests_total"].of()
        self._forwards: dict[tuple[str, int | None, int], tuple[Any, Any, Any]] = {}

    def count_request(self) -> None:
        """A request reached the node."""
        self._requests.inc()

    def __call__(self, event: Event, /) -> None:
        match event:
            case ForwardRecord():
                self._forwarded(event)
            case FragmentRecord():
                self._asked(event)
            case Fallback():
                service, _ = UNKNOWN if event.cause in _UNPROVEN else self._labels.of(event.service or "self", None)
                self._count("hydra_fallbacks_total", service, event.cause.value)
            case RegistrationRecord():
                self._called(event)
            case EjectionRecord():
                if event.seconds:
                    self._count("hydra_ejections_total", *self._labels.of(event.service, event.version))
            case DirectoryRecord():
                self._count("hydra_directory_changes_total")

    def prepare(self) -> None:
        """Read the node, on its event loop, for the next page."""
        self._gauges.take(self._look())

    def page(self, accept: str) -> tuple[str, bytes]:
        """The content type and the page, in the form that `Accept` asks for."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    def _forwarded(self, record: ForwardRecord) -> None:
        # The one event that comes with every request, so all that it counts is found in one look.
        which = record.service, record.version, record.status // 100
        forwards, seconds, attempts = self._forwards.get(which) or self._forwards_of(*which)
        forwards.inc()
        seconds.observe(record.seconds)
        attempts.inc(record.attempts)
        if record.kind is not None:
            self._count("hydra_forward_failures_total", *self._labels.of(*which[:2]), record.kind.value)

    def _forwards_of(self, service: str, version: int | None, status: int) -> tuple[Any, Any, Any]:
        labels = self._labels.of(service, version)
        found = (
            self._series["hydra_forwards_total"].of(*labels, f"{status}xx"),
            self._series["hydra_forward_seconds"].of(*labels),
            self._series["hydra_attempts_total"].of(*labels),
        )
        if labels[0] != OTHER:  # else made-up services would fill the memory
            self._forwards[service, version, status] = found
        return found

    def _asked(self, record: FragmentRecord) -> None:
        is_unknown = record.outcome == FragmentCause.UNKNOWN_SERVICE
        labels = UNKNOWN if is_unknown else self._labels.of(record.service or "self", record.version)
        self._count("hydra_fragments_total", *labels, str(record.outcome))
        self._series["hydra_fragment_seconds"].of(*labels).observe(record.seconds)

    def _called(self, record: RegistrationRecord) -> None:
        if record.status != 200:
            self._count("hydra_refusals_total", record.action, str(record.status))
        elif record.action == "beat":
            self._count("hydra_beats_total", self._labels.of(record.service, None)[0])
        else:
            labels = self._labels.of(record.service, record.version)
            self._count("hydra_registrations_total", *labels, record.action)

    def _count(self, name: str, *labels: str) -> None:
        self._series[name].of(*labels).inc()


def _is_kept(text: MetricText) -> bool:
    return text.kind != "gauge"


class _Series:
    """A metric and its children: looking one up in the library costs more than counting."""

    def __init__(self, name: str, text: MetricText, registry: CollectorRegistry) -> None:
        self._metric: Counter | Histogram
        if text.kind == "counter":
            self._metric = Counter(name, text.text, text.labels, registry=registry)
        else:
            self._metric = Histogram(name, text.text, text.labels, registry=registry, buckets=SECONDS)
        self._children: dict[tuple[str, ...], Any] = {}

    def of(self, *labels: str) -> Any:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels) if labels else self._metric
        return child


class _Gauges(Collector):
    """What was read last. The page is written in a thread, so it gets one finished value."""

    def __init__(self, labels: BoundedLabels) -> None:
        self._labels = labels
        self._families: tuple[Metric, ...] = ()

    def collect(self) -> Iterable[Metric]:
        return self._families

    def take(self, reading: NodeReading) -> None:
        age, connections = reading.directory_age, reading.connections
        families = [_gauge("hydra_status", {(status,): float(status == reading.status) for status in _STATUSES})]
        if age is not None:
            families.append(_gauge("hydra_directory_age_seconds", {(): age}))
            families.append(_gauge("hydra_instances", self._instances(reading)))
            families.append(_gauge("hydra_unreadable_entries", {(): float(reading.unreadable)}))
        if connections is not None:
            states = zip(("open", "idle", "in_use"), connections, strict=True)
            families.append(_gauge("hydra_connections", {(state,): float(count) for state, count in states}))
        self._families = tuple(families)

    def _instances(self, reading: NodeReading) -> dict[Labels, float]:
        counts: dict[Labels, float] = {}
        for (service, version), count in reading.instances.items():
            labels = self._labels.of(service, version)
            counts[labels] = counts.get(labels, 0.0) + count
        return counts


def _gauge(name: str, values: dict[Any, float]) -> Metric:
    text = METRICS[name]
    family = GaugeMetricFamily(name, text.text, labels=text.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
