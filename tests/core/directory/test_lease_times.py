"""Watched time: what counts as time in which beats could have been taken."""

import pytest

from hydra_asgi.core.directory.lease_times import AWAY_SECONDS, SWEEP_SECONDS, WatchedTime


def test_time_starts_with_the_first_look() -> None:
    """Whatever the outer clock shows at first, no time has been watched yet."""
    assert WatchedTime().advance(1_000_000.0) == 0.0


def test_ordinary_steps_count_in_full() -> None:
    """A late look that is still a look counts like any other."""
    time = WatchedTime()
    time.advance(10.0)
    assert time.advance(10.5) == pytest.approx(0.5)
    late = SWEEP_SECONDS + AWAY_SECONDS - 0.01
    assert time.advance(10.5 + late) == pytest.approx(0.5 + late)


def test_a_stopped_process_counts_one_period() -> None:
    """Of the time nobody was watching, only one ordinary period passes."""
    time = WatchedTime()
    time.advance(10.0)
    assert time.advance(3610.0) == pytest.approx(SWEEP_SECONDS)


def test_a_clock_that_goes_back_does_no_harm() -> None:
    """Time never runs backwards, and goes on from where the outer clock went."""
    time = WatchedTime()
    time.advance(10.0)
    time.advance(11.0)
    assert time.advance(5.0) == pytest.approx(1.0)
    assert time.advance(6.0) == pytest.approx(2.0)


def test_a_moment_is_named_on_the_outer_clock() -> None:
    """A deadline in watched time is shown as the outer clock will show it while somebody keeps looking."""
    time = WatchedTime()
    time.advance(100.0)
    time.advance(101.0)
    assert time.outer(6.0) == pytest.approx(106.0)
    time.advance(200.0)
    assert time.outer(6.0) == pytest.approx(205.0 - SWEEP_SECONDS)


def test_a_look_can_be_thought_of() -> None:
    """What time it will be is known without looking, and what was kept goes on where it was."""
    time = WatchedTime(100.0, 7.0)
    assert (time.at(101.0), time.at(50.0), time.at(1000.0)) == (8.0, 7.0, 7.0 + SWEEP_SECONDS)
    assert (time.seen, time.value) == (100.0, 7.0)
    assert time.advance(101.0) == 8.0
    assert WatchedTime(None, 7.0).at(55.0) == 7.0
