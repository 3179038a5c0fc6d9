"""The bounded memory that forgets by itself."""

from hydra_asgi.core.admission.recent import Recent


def test_forgets_after_its_time() -> None:
    """A value is known until its time is over, counted from the last put."""
    recent: Recent[str, int] = Recent(seconds=10, size=3)
    recent.put("a", 1, now=0)
    assert recent.get("a", now=9.9) == 1
    assert recent.get("a", now=10) is None
    recent.put("a", 2, now=9)
    assert recent.get("a", now=18.9) == 2
    assert recent.get("b", now=0) is None


def test_the_longest_unused_goes_first() -> None:
    """A full memory drops what was put longest ago, not what was put first and again since."""
    recent: Recent[str, int] = Recent(seconds=10, size=2)
    recent.put("a", 1, now=0)
    recent.put("b", 1, now=1)
    recent.put("a", 1, now=2)
    recent.put("c", 1, now=3)
    assert [recent.get(key, now=3) for key in "abc"] == [1, None, 1]
    assert len(recent) == 2


def test_full_means_still_worth_knowing() -> None:
    """Entries whose time is over make room."""
    recent: Recent[str, int] = Recent(seconds=10, size=1)
    recent.put("a", 1, now=0)
    assert recent.is_full(now=9)
    assert not recent.is_full(now=10)
    assert len(recent) == 0


def test_discard() -> None:
    """A value can be forgotten at once, known or not."""
    recent: Recent[str, int] = Recent(seconds=10, size=1)
    recent.put("a", 1, now=0)
    recent.discard("a")
    recent.discard("a")
    assert recent.get("a", now=0) is None
