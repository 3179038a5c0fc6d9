"""What is told about each forwarded request, once, when it is over: to hooks, and to the access log."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.events import ForwardRecord
from hydra_asgi.core.headers.request_id import read_request_id
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.logfmt import logfmt
from hydra_asgi.gateway.answers import shown_path
from hydra_asgi.gateway.repeated_log import RepeatedLog

__all__ = ["ForwardRecord", "OnRecord", "Progress", "Reporter"]

REFUSALS_SECONDS: Final = 1.0
"""Between two lines about refusals of one service."""

_MAX_SERVICES: Final = 1024
"""Services whose refusals have lines of their own."""

OnRecord = Callable[[ForwardRecord], None]
"""Takes each record; called on the event loop, so it must not wait for anything."""


class Progress:
    """How far a request has come; becomes its record."""

    __slots__ = (
        "attempts", "began", "detail", "instance", "is_local", "kind", "method", "request_bytes", "response_bytes",
        "service", "status",
    )  # fmt: skip

    def __init__(self, service: str, method: str, began: float) -> None:
        self.service = service
        self.method = method
        self.began = began
        self.instance: ServiceInstance | None = None
        self.attempts = 0
        self.status = 0
        self.kind: ErrorKind | None = None
        self.detail = ""
        self.request_bytes = self.response_bytes = 0
        self.is_local = False

    def fail(self, kind: ErrorKind, detail: str) -> None:
        """It failed; a status that was sent already stays."""
        self.kind = kind
        self.detail = detail
        self.status = self.status or OUTCOMES[kind].status

    def record(self, scope: Mapping[str, Any], now: float) -> ForwardRecord:
        """The record of it, if it is over now."""
        instance = self.instance
        return ForwardRecord(
            self.service,
            None if instance is None else instance.version,
            "" if instance is None else instance.address.netloc,
            self.method,
            self.status,
            self.attempts,
            self.kind,
            now - self.began,
            self.request_bytes,
            self.response_bytes,
            self.is_local,
            shown_path(scope),
            read_request_id(scope["headers"]),
        )


class Reporter:
    """Tells about requests that are over.

    One line each: INFO for what went well and for clients that left, WARNING for failures. The record itself is the
    line's attribute `forward`, for formatters that write JSON. Only refusals for want of a place have no line each:
    they come by thousands, from a service that is in trouble, and may not take the others' processor as well.

    Args:
        log: gets the lines.
        on_record: gets the records; what it raises is logged and changes nothing.
    """

    def __init__(self, log: logging.Logger, on_record: OnRecord | None = None) -> None:
        self._log = log
        self._on_record = on_record
        self._refusals: RepeatedLog[str, tuple[ForwardRecord, str]] = RepeatedLog(
            self._write_refusal, seconds=REFUSALS_SECONDS, size=_MAX_SERVICES
        )

    @property
    def hears_levels(self) -> Callable[[int], bool]:
        """Tells whether anybody is told about requests that are logged at a level."""
        return self._log.isEnabledFor if self._on_record is None else lambda level: True

    def tell(self, progress: Progress, scope: Mapping[str, Any], now: float) -> None:
        """Tell about one request."""
        level = _level(progress)
        is_logged = self._log.isEnabledFor(level)
        if not is_logged and self._on_record is None:
            return
        record = progress.record(scope, now)
        if is_logged and record.kind is ErrorKind.OVERLOADED:
            self._refusals.hear(record.service, (record, progress.detail))
        elif is_logged:
            self._log.log(level, "%s", _line(record, progress.detail), extra={"forward": record})
        if self._on_record is not None:
            try:
                self._on_record(record)
            except Exception:
                self._log.exception("on_record failed: %r", self._on_record)

    def _write_refusal(self, refusal: tuple[ForwardRecord, str], times: int) -> None:
        record, detail = refusal
        self._log.warning("%s", _line(record, detail, times), extra={"forward": record, "times": times})


def _level(progress: Progress) -> int:
    is_harmless = progress.kind is None or progress.kind is ErrorKind.CLIENT_GONE
    return logging.INFO if is_harmless else logging.WARNING


def _line(record: ForwardRecord, detail: str, times: int = 1) -> str:
    pairs = logfmt(
        service=record.service,
        version=record.version,
        instance=record.instance or ("self" if record.is_local else "none"),
        method=record.method,
        path=record.path,
        status=record.status,
        attempts=record.attempts,
        seconds=record.seconds,
        received=record.request_bytes,
        sent=record.response_bytes,
        request=record.request_id,
        kind=record.kind,
        times=times if times > 1 else None,
        detail=detail,
    )
    return f"forwarded: {pairs}"
