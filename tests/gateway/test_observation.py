"""What is told about forwarded requests."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.gateway.observation import ForwardRecord, Progress, Reporter
from tests.exchange import http_scope

INSTANCE = ServiceInstance("orders", Address("http", "10.0.0.1", 8002), version=3)


class Listener:
    """A reporter, and what it said."""

    def __init__(self, level: int = logging.DEBUG) -> None:
        self.records: list[ForwardRecord] = []
        self.lines: list[logging.LogRecord] = []
        log = logging.getLogger(f"tests.observation.{id(self)}")
        log.setLevel(level)
        log.addFilter(lambda record: bool(self.lines.append(record)))
        self.reporter = Reporter(log, self.records.append)

    def tell(self, progress: Progress, path: str = "/orders") -> None:
        self.reporter.tell(progress, http_scope(path, headers=[(b"x-request-id", b"r1")], query=b"token=hush"), 12.5)

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(line.levelname, line.getMessage()) for line in self.lines]


def progress(status: int = 0, attempts: int = 1, **parts: Any) -> Progress:
    made = Progress("orders", "GET", 10.0)
    made.instance, made.status, made.attempts = INSTANCE, status, attempts
    for name, value in parts.items():
        setattr(made, name, value)
    return made


def test_a_record_says_it_all() -> None:
    """Whoever counts gets one frozen value, and the log line carries the same."""
    listener = Listener()
    listener.tell(progress(201, request_bytes=3, response_bytes=7))
    record = ForwardRecord("orders", 3, "10.0.0.1:8002", "GET", 201, 1, None, 2.5, 3, 7, False, "/orders", "r1")
    assert listener.records == [record]
    assert listener.lines[0].__dict__["forward"] == record
    assert listener.said == [
        (
            "INFO",
            "forwarded: service=orders version=3 instance=10.0.0.1:8002 method=GET path=/orders status=201 attempts=1 "
            "seconds=2.500 received=3 sent=7 request=r1",
        )
    ]


async def test_a_request_that_reached_nobody() -> None:
    """Without an instance there is none to name."""
    listener = Listener()
    made = Progress("orders", "GET", 10.0)
    made.fail(ErrorKind.OVERLOADED, "a full queue")
    listener.tell(made)
    (record,) = listener.records
    assert (record.version, record.instance, record.status, record.attempts) == (None, "", 503, 0)
    assert "instance=none" in listener.said[0][1]
    assert listener.said[0][1].endswith('kind=overloaded detail="a full queue"')


async def test_refusals_do_not_flood_the_log(eventually: Callable[..., Any]) -> None:
    """The first of a service at once, the others as a number each second; whoever counts hears of each."""
    listener = Listener()
    for number in range(1000):
        made = progress(attempts=0)
        made.fail(ErrorKind.OVERLOADED, f"number {number}")
        listener.tell(made)
    other = progress(attempts=0, service="users")
    other.fail(ErrorKind.OVERLOADED, "")
    listener.tell(other)
    assert [line.split()[1] for _, line in listener.said] == ["service=orders", "service=users"]
    assert len(listener.records) == 1001
    await eventually(lambda: len(listener.said) == 3)
    level, line = listener.said[2]
    assert level == "WARNING"
    assert line.endswith('kind=overloaded times=999 detail="number 999"')
    assert listener.lines[2].__dict__["times"] == 999


def test_the_fields_in_the_documentation() -> None:
    """Every field of the line is explained."""
    listener = Listener()
    made = progress(attempts=2)
    made.fail(ErrorKind.RESET, "why")
    listener.tell(made)
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    explained = {name for line in page.splitlines() for name in line.split(" | ")[0].split("`")[1::2]}
    fields = [word.partition("=")[0] for word in listener.said[0][1].removeprefix("forwarded: ").split()]
    assert len(fields) == 13
    assert {*fields} <= explained


@pytest.mark.parametrize(
    ("made", "level"),
    [
        (progress(200), "INFO"),
        (progress(200, attempts=2), "INFO"),
        (progress(200, is_local=True), "INFO"),
        (progress(499, kind=ErrorKind.CLIENT_GONE), "INFO"),
        (progress(502, kind=ErrorKind.RESET), "WARNING"),
        (progress(200, kind=ErrorKind.TRUNCATED), "WARNING"),
    ],
)
def test_levels(made: Progress, level: str) -> None:
    """Every request is one line of the access log; failures are warnings."""
    listener = Listener()
    listener.tell(made)
    assert [name for name, _ in listener.said] == [level]


def test_what_was_sent_stays_the_status() -> None:
    """A response that breaks off keeps the status the client saw."""
    made = progress(200)
    made.fail(ErrorKind.TRUNCATED, "cut")
    assert (made.status, made.kind) == (200, ErrorKind.TRUNCATED)


def test_nothing_is_made_for_nobody() -> None:
    """Without a hook, and below the level of the log, there is no record."""
    listener = Listener(logging.WARNING)
    Reporter(logging.getLogger("tests.observation.silent")).tell(progress(200), {}, 0.0)  # has no path to show
    listener.tell(progress(200))
    assert len(listener.records) == 1
    assert listener.said == []


def test_a_log_needs_no_hook() -> None:
    """The line is written without anybody who counts."""
    lines: list[logging.LogRecord] = []
    log = logging.getLogger("tests.observation.alone")
    log.addFilter(lambda record: bool(lines.append(record)))
    Reporter(log).tell(progress(502, kind=ErrorKind.RESET), http_scope(), 11.0)
    assert [line.levelname for line in lines] == ["WARNING"]


def test_one_event_is_one_line() -> None:
    """Whatever a client or an instance wrote, it cannot write a second line into the log."""
    listener = Listener()
    made = progress()
    made.fail(ErrorKind.PROTOCOL, "garbage\r\nforwarded: service=forged \x1b[31m" + "x" * 1000)
    listener.tell(made, "/a\r\nb")
    (line,) = [text for _, text in listener.said]
    assert line.isprintable()
    assert len(line) < 600


def test_a_hook_that_fails_costs_nobody_a_request() -> None:
    """Its error is logged and goes no further."""
    lines: list[logging.LogRecord] = []
    log = logging.getLogger("tests.observation.broken")
    log.addFilter(lambda record: bool(lines.append(record)))

    def broken(record: ForwardRecord) -> None:
        raise ValueError("full disk")

    Reporter(log, broken).tell(progress(200), http_scope(), 11.0)
    (line,) = lines
    assert line.getMessage().startswith("on_record failed: ")
    assert line.exc_info is not None
