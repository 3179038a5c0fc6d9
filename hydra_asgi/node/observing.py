"""What a node lets others see of its work: events for hooks, metrics for scrapes, spans; nothing unless asked for."""

import ipaddress
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Final

from hydra_asgi.control.metrics_page import MetricsPage
from hydra_asgi.core.events import DirectoryRecord, Fallback
from hydra_asgi.core.node_reading import NodeReading
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.gateway.observed_fragments import ObservedFragments
from hydra_asgi.gateway.observers import Observers
from hydra_asgi.gateway.page_log import PageLog
from hydra_asgi.ports import FragmentSource, Hook, Upstream

if TYPE_CHECKING:
    from hydra_asgi.backends.prometheus_metrics import PrometheusMetrics

__all__ = ["Observing"]

_WITHOUT_METRICS: Final = "this node keeps no metrics: make it with Hydra(metrics=True), or set HYDRA_METRICS=1"


class Observing:
    """The observers of one node, whatever parts it is made of meanwhile.

    Args:
        on_event: is told everything; None for nobody.
        metrics: whether to keep metrics.
        look: reads the node.

    Attributes:
        tell: tells everybody.
        count_request: to be called for each request that reaches the node.
        page_log: what the log says about pages.

    Raises:
        ConfigurationError: metrics are asked for and cannot be kept.
    """

    def __init__(
        self,
        on_event: Hook | None = None,
        *,
        metrics: bool = False,
        look: Callable[[], NodeReading] = lambda: NodeReading("starting"),
    ) -> None:
        hooks: list[Hook] = [] if on_event is None else [on_event]
        self.count_request: Callable[[], None] = _count_nothing
        self._metrics = _make_metrics(look) if metrics else None
        if self._metrics is not None:
            hooks.append(self._metrics)
            self.count_request = self._metrics.count_request
        self.tell = Observers(hooks)
        self.page_log = PageLog()

    def page(self, is_inner: Callable[[str], bool] | None = None) -> MetricsPage:
        """The page to scrape, for callers at addresses that are inner ones, or for everybody who can reach it.

        Raises:
            ConfigurationError: no metrics are kept.
        """
        if self._metrics is None:
            raise ConfigurationError(_WITHOUT_METRICS)
        return MetricsPage(self._metrics.page, prepare=self._metrics.prepare, is_inner=is_inner)

    def maybe_page(self, trusted: Callable[[str], bool]) -> MetricsPage | None:
        """The page for the node's own machine and trusted networks; None when no metrics are kept."""
        return None if self._metrics is None else self.page(lambda ip: _is_loopback(ip) or trusted(ip))

    def fell_back(self, fallback: Fallback) -> None:
        """A fragment of a page showed its fallback."""
        self.page_log.fell_back(fallback)
        self.tell(fallback)

    def fragments(self, source: FragmentSource, own: tuple[str, int]) -> FragmentSource:
        """The source, observed where anybody wants to know.

        Args:
            source: who answers.
            own: the node's own service and its version.
        """
        tracing = _tracing()
        traced = source if tracing is None else tracing.TracedFragments(source)
        return ObservedFragments(traced, self.tell, own=own) if self.tell else traced

    def upstream(self, upstream: Upstream) -> Upstream:
        """The upstream, traced where traces can be made; else itself."""
        tracing = _tracing()
        return upstream if tracing is None else tracing.TracedUpstream(upstream)

    def follow(self, directory: Directory) -> None:
        """Tell about changes of the directory."""
        if self.tell:
            directory.on_update(lambda _: self.directory_changed(directory))

    def directory_changed(self, directory: Directory) -> None:
        """What is known changed, or how well it is known."""
        health, snapshot = directory.health, directory.state.snapshot
        instances = snapshot.instances
        self.tell(
            DirectoryRecord(
                health.status,
                health.why,
                str(snapshot.revision),
                len({instance.service for instance in instances}),
                len(instances),
                sum(instance.active for instance in instances),
            )
        )


def _make_metrics(look: Callable[[], NodeReading]) -> "PrometheusMetrics":
    try:
        from hydra_asgi.backends.prometheus_metrics import PrometheusMetrics
    except ModuleNotFoundError as error:
        raise ConfigurationError('metrics=True needs prometheus-client: pip install "hydra-asgi[metrics]"') from error
    return PrometheusMetrics(look)


def _tracing() -> ModuleType | None:
    """Our spans, where OpenTelemetry's API is installed."""
    try:
        from hydra_asgi.backends import otel_tracing
    except ModuleNotFoundError:
        return None
    return otel_tracing


def _is_loopback(ip: str) -> bool:
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return False


def _count_nothing() -> None:
    pass
