"""Many equal news."""

from hydra_asgi.core.repetition import Repetition


def test_the_first_is_told_at_once_and_the_others_as_a_number() -> None:
    """What came since is told when its time has come, with the last of it."""
    news: Repetition[str, int] = Repetition(seconds=10, size=8)
    assert news.hear("a", 1, 0.0)
    assert not news.hear("a", 2, 1.0)
    assert not news.hear("a", 3, 9.0)
    assert news.due(9.9) == []
    assert news.due(10.0) == [(3, 2)]
    assert not news.hear("a", 4, 10.5)
    assert news.due(19.9) == []
    assert news.due(20.0) == [(4, 1)]


def test_each_kind_has_a_time_of_its_own() -> None:
    """Something new is told at once, however much else there is."""
    news: Repetition[str, int] = Repetition(seconds=10, size=8)
    assert news.hear("a", 1, 0.0)
    assert news.hear("b", 2, 5.0)
    assert not news.hear("a", 3, 6.0)
    assert not news.hear("b", 4, 6.0)
    assert news.due(10.0) == [(3, 1)]
    assert news.due(15.0) == [(4, 1)]


def test_what_does_not_come_again_is_forgotten() -> None:
    """After a quiet time it is news again, and takes no room meanwhile."""
    news: Repetition[str, int] = Repetition(seconds=10, size=8)
    news.hear("a", 1, 0.0)
    assert news.due(10.0) == []
    assert len(news) == 0
    assert news.hear("a", 2, 10.0)


def test_kinds_without_end_share_one_place() -> None:
    """Beyond its size all that is new counts as one kind; what was known keeps its place."""
    news: Repetition[str, int] = Repetition(seconds=10, size=2)
    assert [news.hear(key, number, 0.0) for number, key in enumerate("abcdea")] == [
        True, True, True, False, False, False
    ]  # fmt: skip
    assert len(news) == 3
    assert news.due(10.0) == [(5, 1), (4, 2)]
