"""The verbs on the file: what is written when, clocks that change, and entries that nobody can read."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hydra_asgi.backends.sqlite_store.database import Database
from hydra_asgi.backends.sqlite_store.ledger import Ledger, this_machine
from hydra_asgi.backends.sqlite_store.trouble import LockedError
from hydra_asgi.core.admission import nonces
from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.instance import MenuItem
from hydra_asgi.core.routing.token import first_token, next_token
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import RefusedError, StoreError
from tests.backends.store_rig import CALLER, a_lease, an_instance


class Site:
    """A file, with ledgers of several processes and machines on it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.now = 1000.0
        self.ledgers: list[Ledger] = []

    def ledger(self, machine: str = "here", *, ahead: float = 0.0) -> Ledger:
        self.ledgers.append(Ledger(Database(str(self.file)), lambda: self.now + ahead, machine))
        return self.ledgers[-1]

    def live(self, ledger: Ledger, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            ledger.look()

    def ask(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.file)
        found = connection.execute(statement, parameters).fetchall()
        connection.commit()
        connection.close()
        return found

    @property
    def writes(self) -> int:
        """Grows when anybody writes anything."""
        self.seen = getattr(self, "seen", None) or sqlite3.connect(self.file)
        (version,) = self.seen.execute("PRAGMA data_version").fetchone()
        return int(version)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    opened = Site(tmp_path / "site.db")
    yield opened
    for ledger in opened.ledgers:
        ledger.close()
    if hasattr(opened, "seen"):
        opened.seen.close()


def ports(ledger: Ledger) -> dict[int, bool]:
    return {one.address.port: one.active for one in ledger.snapshot().instances}


def test_a_look_is_mostly_a_read(site: Site) -> None:
    """Many nodes may ask for the revision; one in half a second keeps the time, the others only read."""
    ledger = site.ledger()
    ledger.look()
    before = site.writes
    for _ in range(10):
        site.now += 0.03
        ledger.look()
    assert site.writes == before
    site.now += 0.2
    ledger.look()
    assert site.writes > before


def test_a_beat_does_not_touch_the_document(site: Site) -> None:
    """A beat is found again in the next look of another process, at the same revision."""
    one, other = site.ledger(), site.ledger()
    one.register(an_instance(), a_lease())
    before = other.look()
    for _ in range(6):
        site.live(other, 3)
        assert one.renew("a", "orders", 0)
    assert other.look() == before
    assert ports(other) == {8001: True}


def test_what_nobody_watched_does_not_count(site: Site) -> None:
    """All processes were away for an hour: beats could not be taken, so nobody is blamed."""
    ledger = site.ledger()
    ledger.register(an_instance(), a_lease())
    site.live(ledger, 2)
    ledger.close()
    site.now += 3600
    later = site.ledger()
    assert ports(later) == {8001: True}
    site.live(later, 3.5)
    assert ports(later) == {8001: False}


def test_a_restart_of_the_host_does_not_count(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Its clock begins anew: what it showed before says nothing, and what lived before gets its time to come back."""
    ledger = site.ledger("before")
    ledger.register(an_instance(), a_lease())
    site.live(ledger, 3)
    ledger.close()
    site.now = 7.0
    later = site.ledger("after")
    before = later.look()
    assert ports(later) == {8001: True}
    site.live(later, 1)
    assert later.look() == before
    assert later.renew("a", "orders", 0)
    site.live(later, 6)
    assert ports(later) == {8001: False}
    assert not caplog.records


def test_two_machines_on_one_file_are_noticed(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Their clocks say nothing to each other, so nothing lapses, and the log says what to use instead."""
    one, other = site.ledger("one"), site.ledger("other", ahead=50_000.0)
    one.register(an_instance(), a_lease())
    for _ in range(100):
        site.now += 0.5
        other.look()
        one.look()
    assert ports(one) == {8001: True}
    assert "the store's file is used with another clock than this host's (other)" in caplog.text
    assert "redis://" in caplog.text


def test_this_machine_is_the_same_for_all_its_processes() -> None:
    """The name of the clock does not change while the host is up."""
    assert this_machine() == this_machine()


def test_a_look_goes_on_while_somebody_writes(site: Site) -> None:
    """A lock that is held for a moment does not fail a poll; one that is held for long does: nothing is kept then."""
    one, other = site.ledger(), Database(str(site.file))
    one.look()
    site.now += 1
    with other.writing():
        assert one.look().counter == 0
        site.now += 1
        with pytest.raises(LockedError):
            one.look()
    assert one.look().counter == 0
    other.close()


def test_tokens_move_on_where_two_would_meet(site: Site) -> None:
    """As in the memory of one process: the second gets the next one that is free."""
    ledger = site.ledger()
    wanted = first_token("orders", an_instance(2).address)
    first = ledger.register(an_instance(1), a_lease())
    third = ledger.register(an_instance(3), a_lease("c"))
    site.ask("UPDATE instances SET token = ? WHERE token = ?", wanted, first.token)
    site.ask("UPDATE instances SET token = ? WHERE token = ?", next_token(wanted), third.token)
    assert ledger.register(an_instance(2), a_lease("b")).token == next_token(next_token(wanted))
    assert [one.address.port for one in ledger.snapshot().instances] == [1, 3, 2]


def test_what_cannot_be_kept_is_refused(site: Site) -> None:
    """An instance or settings that others could not read are not written, and the field is named."""
    ledger = site.ledger()
    with pytest.raises(RefusedError, match=r"cannot be kept: menu_items\[0\]: endpoint") as refused:
        ledger.register(replace(an_instance(), menu_items=(MenuItem("main", "//evil"),)), a_lease())
    assert refused.value.status == 422
    with pytest.raises(RefusedError, match=r"settings of 'orders' cannot be kept: shares\[0\]: share is -1"):
        ledger.configure("orders", ServiceSettings({1: -1.0}))
    snapshot = ledger.snapshot()
    assert (snapshot.instances, snapshot.settings) == ((), {})


POISON = [
    (b"no JSON", "it is not JSON"),
    (b"{}", "schema is missing"),
    (b'{"schema":99}', "it has schema 99, which takes a node that knows schema 99"),
]


@pytest.mark.parametrize(("document", "reason"), POISON, ids=[reason for _, reason in POISON])
def test_an_entry_that_cannot_be_read_is_left_out(
    site: Site, caplog: pytest.LogCaptureFixture, document: bytes, reason: str
) -> None:
    """The rest is served, the log says it once, and its leases live on for those who can read it."""
    ledger = site.ledger()
    ledger.register(an_instance(1), a_lease())
    ledger.register(an_instance(2), a_lease("b"))
    ledger.configure("orders", ServiceSettings({1: 1.0}))
    ledger.configure("shop", ServiceSettings({1: 2.0}))
    (kept,) = site.ask("SELECT document FROM instances WHERE address LIKE '%:1'")
    site.ask("UPDATE instances SET document = ? WHERE address LIKE '%:1'", document)
    site.ask("UPDATE settings SET document = ? WHERE service = 'shop'", document)
    for _ in range(2):
        snapshot = ledger.snapshot()
        assert [one.address.port for one in snapshot.instances] == [2]
        assert snapshot.settings == {"orders": ServiceSettings({1: 1.0})}
        assert snapshot.unreadable == 2
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert all(reason in line and line.endswith("; it is left out") for line in told)
    assert told[0].startswith(f"the store's entry 'orders at http://{CALLER}:1': ")
    assert told[1].startswith("the store's entry 'shop': ")
    for _ in range(3):
        site.live(ledger, 3)
        assert ledger.renew("a", "orders", 0)
        assert ledger.renew("b", "orders", 0)
    site.ask("UPDATE instances SET document = ? WHERE address LIKE '%:1'", *kept)
    assert ports(ledger) == {1: True, 2: True}
    assert ledger.snapshot().unreadable == 1


def test_settings_that_cannot_be_read_count_as_none(site: Site) -> None:
    """Whoever read nothing may set something in their place."""
    ledger = site.ledger()
    ledger.configure("orders", ServiceSettings({1: 1.0}))
    site.ask("UPDATE settings SET document = x'00'")
    assert not ledger.configure("orders", ServiceSettings({2: 1.0}), ServiceSettings({1: 1.0}))
    assert ledger.configure("orders", ServiceSettings({2: 1.0}), None)
    assert ledger.snapshot().settings == {"orders": ServiceSettings({2: 1.0})}


def test_an_entry_that_cannot_be_read_is_replaced_by_its_next_registration(site: Site) -> None:
    """Whoever announces itself again heals its own entry: same token, same place, and everybody hears of it."""
    ledger = site.ledger()
    first = ledger.register(an_instance(1), a_lease())
    before = ledger.look()
    site.ask("UPDATE instances SET document = x'00'")
    assert ledger.register(an_instance(1), a_lease()) == first
    assert ledger.look().counter > before.counter
    assert ledger.snapshot().instances == (first,)


def test_an_entry_under_another_name_is_left_out(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A document has to be that of the row it stands in."""
    ledger = site.ledger()
    ledger.register(an_instance(1), a_lease())
    site.ask("UPDATE instances SET service = 'shop'")
    assert ledger.snapshot().instances == ()
    assert f"it is that of orders at http://{CALLER}:1" in caplog.text


def test_reports_have_a_bound(site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said is forgotten when it grows too much, and may then be said again."""
    monkeypatch.setattr("hydra_asgi.backends.sqlite_store.documents._MAX_REPORTED", 2)
    ledger = site.ledger()
    ledger.register(an_instance(1), a_lease())
    for document in (b"1", b"{}", b"[]", b"1"):
        site.ask("UPDATE instances SET document = ?", document)
        assert ledger.snapshot().instances == ()
    assert len(caplog.records) == 4


def test_a_file_without_its_row_is_an_error(site: Site) -> None:
    """Somebody took away what the book needs: that is said, and nothing else is raised."""
    ledger = site.ledger()
    ledger.look()
    site.ask("DELETE FROM directory")
    with pytest.raises(StoreError, match="its row of the directory is missing"):
        ledger.look()


def test_nonces_have_a_bound(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood drops the oldest ones early."""
    monkeypatch.setattr("hydra_asgi.backends.sqlite_store.ledger.MAX_NONCES", 10)
    assert nonces.MAX_NONCES > 10
    ledger = site.ledger()
    for number in range(25):
        assert ledger.first_use(f"n{number}", 60.0)
    assert site.ask("SELECT count(*) FROM nonces") == [(10,)]
    assert not ledger.first_use("n24", 60.0)
    assert ledger.first_use("n0", 60.0)


def test_leases_are_those_of_one_service_and_caller(site: Site) -> None:
    """Also where one instance is kept by leases of several callers."""
    ledger = site.ledger()
    ledger.register(an_instance(1), a_lease("a", counter=4))
    ledger.register(an_instance(1), a_lease("b", caller="10.0.0.9"))
    assert list(ledger.leases_of("orders", CALLER)) == [LeaseState("a", "orders", CALLER, counter=4)]
