"""What the log says about fragments that were not shown."""

import pytest

from hydra_asgi.core.events import Fallback
from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.gateway.fallback_log import log_fallback, log_warning


def test_a_fallback(caplog: pytest.LogCaptureFixture) -> None:
    """One line says which fragment, why, after how long, and what happened."""
    fallback = Fallback("orders", "checkout", FragmentCause.TIMEOUT, "not answered", 1.5, "r1")
    log_fallback(fallback)
    assert caplog.messages == [
        'fallback shown: service=orders ref=checkout cause=timeout seconds=1.500 detail="not answered" request=r1'
    ]
    assert caplog.records[0].__dict__["fallback"] is fallback


def test_own_fragments(caplog: pytest.LogCaptureFixture) -> None:
    """A fragment of the page's own app is told as such."""
    log_fallback(Fallback("", "mini", FragmentCause.FAILED, "", 0.0))
    assert "service=self ref=mini" in caplog.text


def test_hostile_text(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a peer or a tag put into it, one event stays one short line that means nothing to a terminal."""
    evil = "a\r\nERROR forged\x1b[31m\u202e" + "x" * 1000
    log_fallback(Fallback(evil, evil, FragmentCause.BROKEN, evil, 0.1))
    log_warning(evil)
    for message in caplog.messages:
        assert message.isprintable()
        assert len(message) < 1200
    assert caplog.messages[1] == "page: " + ("a??ERROR forged?[31m?" + "x" * 1000)[:300]
