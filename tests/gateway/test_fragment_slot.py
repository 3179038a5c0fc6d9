"""The place of one fragment."""

import pytest

from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.core.html.fragment_tag import FragmentTag
from hydra_asgi.gateway.fragment_slot import FragmentSlot


class Settled(list[FragmentSlot]):
    def slot(self, timeout: float | None = None) -> FragmentSlot:
        tag = FragmentTag("s", "r", timeout=timeout)
        return FragmentSlot(tag, b"<m:fragment>", depth=0, seen=10.0, last=11.5, settle=self.append)


def test_an_answer_waits_for_the_end_tag() -> None:
    """A slot is settled once its outcome and its end are known, in either order."""
    settled = Settled()
    early, late = settled.slot(), settled.slot()
    early.answer(b"x")
    assert (settled, early.closed, early.is_open) == ([], False, False)
    early.close(b"fb")
    late.close(b"fb")
    assert settled == [early]
    late.fail(FragmentCause.FAILED, "why")
    assert settled == [early, late]
    assert (early.html, early.body, late.cause, late.detail) == (b"x", b"fb", FragmentCause.FAILED, "why")


def test_the_first_outcome_counts() -> None:
    """A late answer does not undo a timeout, nor the other way round."""
    settled = Settled()
    slot = settled.slot()
    slot.close(b"")
    slot.fail(FragmentCause.TIMEOUT)
    slot.answer(b"x")
    slot.fail(FragmentCause.FAILED)
    assert (slot.html, slot.cause, settled) == (None, FragmentCause.TIMEOUT, [slot])


def test_an_abandoned_slot_shows_its_bytes() -> None:
    """Without an end tag the start tag is text, whatever was answered."""
    settled = Settled()
    slot = settled.slot()
    slot.abandon(b"rest")
    slot.answer(b"x")
    assert (slot.pieces, slot.is_open, settled) == ([b"<m:fragment>", b"rest"], False, [])


@pytest.mark.parametrize(("timeout", "deadline"), [(None, 11.5), (0.5, 10.5), (60.0, 11.5)])
def test_a_timeout_only_shortens(timeout: float | None, deadline: float) -> None:
    """The earlier of the tag's own time and the page's counts."""
    assert Settled().slot(timeout).deadline == deadline
