"""What the log says about pages."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hydra_asgi.core.events import Fallback
from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.gateway.page_log import MAX_KINDS, PageLog

Eventually = Callable[..., Any]
TIMEOUT = Fallback("orders", "checkout", FragmentCause.TIMEOUT, "not answered", 1.5, "r1")


async def test_a_fallback(caplog: pytest.LogCaptureFixture) -> None:
    """One line says which fragment, why, after how long, and what happened."""
    PageLog().fell_back(TIMEOUT)
    assert caplog.messages == [
        'fallback shown: service=orders ref=checkout cause=timeout seconds=1.500 detail="not answered" request=r1'
    ]
    assert caplog.records[0].__dict__["fallback"] is TIMEOUT


async def test_own_fragments(caplog: pytest.LogCaptureFixture) -> None:
    """A fragment of the page's own app is told as such."""
    PageLog().fell_back(Fallback("", "mini", FragmentCause.FAILED, "", 0.0))
    assert "service=self ref=mini" in caplog.text


async def test_hostile_text(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a peer or a tag put into it, one event stays one short line that means nothing to a terminal."""
    evil = "a\r\nERROR forged\x1b[31m\u202e" + "x" * 1000
    log = PageLog()
    log.fell_back(Fallback(evil, evil, FragmentCause.BROKEN, evil, 0.1))
    log.warn(evil)
    for message in caplog.messages:
        assert message.isprintable()
        assert len(message) < 1200
    assert caplog.messages[1] == "page: " + ("a??ERROR forged?[31m?" + "x" * 1000)[:300]


async def test_what_fails_on_every_page_does_not_flood_the_log(
    caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    """After the first line one says how often it came since, with the last of it; other causes have their own."""
    log = PageLog(seconds=0.02)
    log.fell_back(TIMEOUT)
    log.fell_back(Fallback("orders", "checkout", FragmentCause.STATUS, "status 500", 0.1))
    for number in range(1000):
        log.fell_back(Fallback("orders", "checkout", FragmentCause.TIMEOUT, "again", 1.5, f"r{number}"))
        log.warn("fragment 'a': no such attribute")
    assert len(caplog.messages) == 3
    await eventually(lambda: len(caplog.messages) == 5)
    assert caplog.messages[3:] == [
        "fallback shown: service=orders ref=checkout cause=timeout times=1000 seconds=1.500 detail=again request=r999",
        "page: fragment 'a': no such attribute (again, 999 times)",
    ]
    assert caplog.records[3].__dict__["times"] == 1000


async def test_what_has_stopped_is_told_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """After a quiet time nothing is remembered, and the same is news again."""
    log = PageLog(seconds=0.02)
    log.fell_back(TIMEOUT)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.call_later(0.1, ended.set)  # timers of a loop run in their order
    await ended.wait()
    log.fell_back(TIMEOUT)
    assert len(caplog.messages) == 2
    assert "times=" not in caplog.text


async def test_references_without_end_do_not_flood_it_either(caplog: pytest.LogCaptureFixture) -> None:
    """A template that makes up references gets so many lines, and not a line for each."""
    log = PageLog()
    for number in range(10 * MAX_KINDS):
        log.fell_back(Fallback("orders", f"r{number}", FragmentCause.UNKNOWN_REF, "", 0.0))
    assert len(caplog.messages) == MAX_KINDS + 1


def test_a_log_outlives_its_loop(caplog: pytest.LogCaptureFixture, eventually: Eventually) -> None:
    """A node that runs in another event loop is told about there, too."""
    log = PageLog(seconds=0.01)

    async def twice() -> None:
        log.fell_back(TIMEOUT)
        log.fell_back(TIMEOUT)

    async def until_it_is_told() -> None:
        await twice()
        await eventually(lambda: len(caplog.messages) == 2)

    asyncio.run(twice())
    assert len(caplog.messages) == 1
    asyncio.run(until_it_is_told())
    assert "times=3" in caplog.messages[1]
