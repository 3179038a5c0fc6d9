"""What is told about each forwarded request, once, when it is over: to metrics through a hook, and to the log."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.gateway.answers import shown_path

__all__ = ["ForwardRecord", "OnRecord", "Progress", "Reporter"]


@dataclass(frozen=True, slots=True)
class ForwardRecord:
    """One forwarded request, when it is over.

    Attributes:
        service: who was asked for.
        version: of the instance asked last; None when nobody was.
        instance: `host:port` of the instance asked last; empty when nobody was.
        method: upper-case.
        status: what the client was sent; 499 when it was gone before that.
        attempts: how many requests were sent to instances.
        kind: how the request failed; None when it did not. With a good status: the response broke off.
        seconds: from the request to the end of its response.
        request_bytes: of the body that was read from the client.
        response_bytes: of the body that was sent to the client.
        is_local: the mounted app answered at last, in the place of an instance that could not.
    """

    service: str
    version: int | None
    instance: str
    method: str
    status: int
    attempts: int
    kind: ErrorKind | None
    seconds: float
    request_bytes: int
    response_bytes: int
    is_local: bool = False


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

    def record(self, now: float) -> ForwardRecord:
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
        )


class Reporter:
    """Tells about requests that are over.

    One line each: DEBUG for what went well, INFO for what went well in the end and for clients that left, WARNING for
    failures. The record itself is the line's attribute `forward`, for formatters that write JSON.

    Args:
        log: gets the lines.
        on_record: gets the records; what it raises is logged and changes nothing.
    """

    def __init__(self, log: logging.Logger, on_record: OnRecord | None = None) -> None:
        self._log = log
        self._on_record = on_record

    def tell(self, progress: Progress, scope: Mapping[str, Any], now: float) -> None:
        """Tell about one request."""
        level = _level(progress)
        is_logged = self._log.isEnabledFor(level)
        if not is_logged and self._on_record is None:
            return
        record = progress.record(now)
        if is_logged:
            self._write(level, record, progress.detail, shown_path(scope))
        if self._on_record is not None:
            try:
                self._on_record(record)
            except Exception:
                self._log.exception("on_record failed: %r", self._on_record)

    def _write(self, level: int, record: ForwardRecord, detail: str, path: str) -> None:
        failure = "" if record.kind is None else f" kind={record.kind.value} detail={_printable(detail)}"
        self._log.log(
            level,
            "forwarded: service=%s instance=%s method=%s path=%s status=%d attempts=%d seconds=%.3f%s",
            record.service,
            record.instance or ("self" if record.is_local else "none"),
            record.method,
            path,
            record.status,
            record.attempts,
            record.seconds,
            failure,
            extra={"forward": record},
        )


def _level(progress: Progress) -> int:
    if progress.kind is None and progress.attempts <= 1 and not progress.is_local:
        return logging.DEBUG
    is_harmless = progress.kind is None or progress.kind is ErrorKind.CLIENT_GONE
    return logging.INFO if is_harmless else logging.WARNING


def _printable(text: str) -> str:
    """One event stays one line, whatever a peer put into it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])
