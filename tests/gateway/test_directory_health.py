"""When a node may say that it knows the directory."""

import logging

import pytest

from hydra_asgi.gateway.directory_health import REFUSED_SECONDS, DirectoryHealth, Health


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hand:
    return Hand()


def test_a_node_starts_until_the_first_beats_have_come(clock: Hand) -> None:
    """During the first beat interval after the start an unknown route may still be announced."""
    health = DirectoryHealth(clock, 3.0)
    assert health.is_starting
    assert health.now == Health("starting", "the store has not answered yet", 100.0)
    clock.now = 110.0
    health.start()
    health.heal()
    clock.now = 112.9
    health.start()
    assert health.is_starting
    assert health.now == Health("starting", "services may still be announcing themselves", 100.0)
    clock.now = 113.0
    assert not health.is_starting
    assert health.now == Health("ok", "", 110.0)


def test_a_node_that_never_reached_the_store_goes_on_starting(clock: Hand) -> None:
    """As long as nothing was loaded, nobody can say that a route does not exist."""
    health = DirectoryHealth(clock, 3.0)
    health.start()
    clock.now = 200.0
    assert health.is_starting


def test_without_a_first_load_time_a_node_is_ready_with_the_first_answer(clock: Hand) -> None:
    """One process with everything in it has nobody to wait for."""
    health = DirectoryHealth(clock, 0)
    assert not health.is_starting
    assert health.now.status == "starting"
    health.start()
    health.heal()
    assert health.now == Health("ok", "", 100.0)


def test_trouble_is_shown_with_its_beginning_and_logged_once(clock: Hand, caplog: pytest.LogCaptureFixture) -> None:
    """An operator sees why, since when, and one line at the start and at the end."""
    caplog.set_level(logging.INFO, "hydra_asgi")
    health = DirectoryHealth(clock, 0)
    health.start()
    health.heal()
    clock.now = 101.0
    assert health.fail("no route to host")
    clock.now = 102.0
    assert not health.fail("no route to host")
    assert health.now == Health("degraded", "no route to host", 101.0)
    assert health.fail("refused")
    assert health.now == Health("degraded", "refused", 101.0)
    clock.now = 104.0
    health.heal()
    clock.now = 105.0
    health.heal()
    assert health.now == Health("ok", "", 104.0)
    assert [record.getMessage() for record in caplog.records] == [
        "the directory may be out of date: no route to host",
        "the directory may be out of date: refused",
        "the directory is up to date again after 3.0 s",
    ]


def test_trouble_is_told_once_and_so_is_its_end(clock: Hand) -> None:
    """Whoever wants to know hears when trouble begins, when its reason changes, and when it ends."""
    told: list[str] = []
    health = DirectoryHealth(clock, 0.0, lambda: told.append(health.now.status))
    health.start()
    health.heal()
    for why in ("away", "away", "gone"):
        health.fail(why)
    health.heal()
    health.heal()
    assert told == ["degraded", "degraded", "ok"]


def test_how_old_it_all_is(clock: Hand) -> None:
    """The age counts from the last good poll, the status from its beginning."""
    health = DirectoryHealth(clock, 0.0)
    clock.now += 1
    assert health.age == 1
    health.start()
    health.heal()
    clock.now += 2
    health.heal()
    clock.now += 3
    assert (health.age, health.lasts) == (3, 5)
    health.fail("away")
    clock.now += 4
    assert (health.age, health.lasts) == (7, 4)


def test_a_node_that_knows_its_former_life_starts_no_longer_than_the_first_beats(clock: Hand) -> None:
    """With the routes of a former life, one that is not among them exists no more once everybody had the time."""
    health = DirectoryHealth(clock, 3.0)
    health.recall()
    assert health.is_starting
    health.start()
    health.fail("the store is away")
    clock.now = 102.9
    assert health.is_starting
    clock.now = 103.0
    assert not health.is_starting
    assert health.now == Health("degraded", "the store is away", 100.0)


def test_a_store_that_takes_no_changes(clock: Hand, caplog: pytest.LogCaptureFixture) -> None:
    """A store that answers but keeps nothing is in trouble until it keeps something, or nobody tries for a while."""
    told: list[str] = []
    health = DirectoryHealth(clock, 0, lambda: told.append(health.now.status))
    health.start()
    health.heal()
    for _ in range(3):
        clock.now += 1
        health.note_change("it is full")
        health.heal()
    assert health.now == Health("degraded", "it is full", 101.0)
    health.note_change("")
    health.note_change("")
    assert health.now.status == "ok"
    health.note_change("it is full")
    clock.now += REFUSED_SECONDS
    assert health.now.status == "ok"
    assert told == ["degraded", "ok", "degraded"]
    assert caplog.messages.count("the store takes no changes: it is full") == 2


def test_a_store_that_is_away_takes_no_changes_either(clock: Hand) -> None:
    """While it does not answer at all, that is the trouble; when it answers again, what it refused is forgiven."""
    told: list[str] = []
    health = DirectoryHealth(clock, 0, lambda: told.append(health.now.why))
    health.start()
    health.heal()
    health.fail("the store is away")
    health.note_change("no connection")
    assert health.now.why == "the store is away"
    health.heal()
    assert health.now.status == "ok"
    assert told == ["the store is away", ""]
