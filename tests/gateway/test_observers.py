"""Everybody who wants to know is told."""

import logging

import pytest

from hydra_asgi.core.events import EjectionRecord, Event
from hydra_asgi.gateway.observers import Observers

EVENT = EjectionRecord("orders", 1, "10.0.0.1:80", 1.0, "reset")


def test_everybody_is_told() -> None:
    """Each hook gets each event, in turn."""
    first: list[Event] = []
    second: list[Event] = []
    observers = Observers([first.append, second.append])
    assert observers
    observers(EVENT)
    assert first == second == [EVENT]


def test_nobody_to_tell() -> None:
    """Without hooks it is as good as none."""
    assert not Observers([])
    Observers([])(EVENT)


def test_a_hook_that_fails_costs_nobody_anything(caplog: pytest.LogCaptureFixture) -> None:
    """Its error is logged; the others are told all the same."""
    told: list[Event] = []

    def broken(event: Event) -> None:
        raise ValueError("full disk")

    with caplog.at_level(logging.ERROR):
        Observers([broken, told.append])(EVENT)
    assert told == [EVENT]
    (line,) = caplog.records
    assert line.getMessage().startswith("a hook failed on EjectionRecord: ")
    assert line.exc_info is not None
