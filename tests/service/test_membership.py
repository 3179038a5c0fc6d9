"""Whether this node is a member of the site now."""

import logging

import pytest

from hydra_asgi.service.membership import Membership, MembershipLog


def made(now: list[float]) -> MembershipLog:
    return MembershipLog("orders", lambda: now[0])


def test_the_way_in() -> None:
    """A node is starting until its first registration; beats leave the time of that alone."""
    now = [1.0]
    log = made(now)
    assert log.state == Membership("starting", 1.0)
    now[0] = 2.0
    log.failed("nobody there")
    assert log.state == Membership("starting", 1.0, "nobody there")
    now[0] = 3.0
    log.registered("http://gateway:8000", 1234567890)
    now[0] = 4.0
    log.registered("http://gateway:8000", 0)
    assert log.state == Membership("registered", 3.0, "nobody there", "http://gateway:8000", 1234567890)


def test_an_outage() -> None:
    """A lost registration counts from the moment it was lost, not from the latest failure."""
    now = [0.0]
    log = made(now)
    log.registered("gateway", 1)
    for now[0] in (10.0, 11.0):
        log.failed("gone")
    assert (log.state.status, log.state.since) == ("unregistered", 10.0)
    now[0] = 12.0
    log.registered("gateway", 1)
    assert (log.state.status, log.state.since, log.state.last_error) == ("registered", 12.0, "gone")


def test_leaving() -> None:
    """A node that left is not registered."""
    now = [0.0]
    log = made(now)
    log.registered("gateway", 1)
    now[0] = 5.0
    log.left()
    assert (log.state.status, log.state.since) == ("unregistered", 5.0)


def test_two_lines_per_outage(caplog: pytest.LogCaptureFixture) -> None:
    """An outage is logged when it starts and, with its length, when it ends; nothing in between."""
    caplog.set_level(logging.INFO, "hydra_asgi.service")
    now = [0.0]
    log = made(now)
    log.registered("gateway", 1)
    log.registered("gateway", 1)
    for now[0] in (10.0, 11.0, 12.0):
        log.failed("gone")
    now[0] = 22.5
    log.registered("gateway", 1)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "orders is registered at gateway"),
        ("WARNING", "orders is not registered, trying every second: gone"),
        ("INFO", "orders is registered at gateway again after 12.5 s"),
    ]
