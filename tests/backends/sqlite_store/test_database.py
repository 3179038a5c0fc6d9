"""The connection to the file: how it is made, who may read it, and what each trouble is called."""

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_asgi.backends.sqlite_store.database import Database
from hydra_asgi.backends.sqlite_store.schema import APPLICATION, SCHEMA
from hydra_asgi.backends.sqlite_store.trouble import LockedError
from hydra_asgi.errors import ConfigurationError, StoreError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "site.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    opened = Database(str(file))
    yield opened
    opened.close()


def counter(database: Database) -> int:
    with database.reading() as connection:
        (value,) = connection.execute("SELECT counter FROM directory").fetchone()
    return int(value)


def count_up(database: Database) -> None:
    with database.writing() as connection:
        connection.execute("UPDATE directory SET counter = counter + 1")


def write(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_new_file_is_for_its_owner_alone(file: Path, database: Database) -> None:
    """Secrets are kept in it, and in what SQLite writes beside it."""
    count_up(database)
    assert counter(database) == 1
    for name in ("site.db", "site.db-wal", "site.db-shm"):
        assert stat.S_IMODE((file.parent / name).stat().st_mode) == 0o600


def test_a_file_that_everybody_can_read_is_warned_of(
    file: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It works, and the operator is told what to do; a file of a group is the operator's choice."""
    file.touch()
    file.chmod(0o604)
    count_up(database)
    assert [record.getMessage().partition(" can be read")[2] for record in caplog.records] == [
        " by every user of this machine (mode 604), and it holds secrets: chmod 600 it"
    ]
    caplog.clear()
    database.close()
    file.chmod(0o660)
    assert counter(database) == 1
    assert not caplog.records


def test_what_fails_is_undone_as_a_whole(database: Database) -> None:
    """An error in the middle of a transaction leaves everything as it was."""

    def fail_in_the_middle() -> None:
        with database.writing() as connection:
            connection.execute("UPDATE directory SET counter = 99")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        fail_in_the_middle()
    assert counter(database) == 0


def test_a_reader_does_not_wait_for_a_writer(file: Path, database: Database) -> None:
    """While somebody writes, what was there before is read; who wants to write gives up in good time."""
    other = Database(str(file))
    count_up(database)
    with other.writing() as connection:
        connection.execute("UPDATE directory SET counter = 99")
        assert counter(database) == 1
        for _ in range(2):
            with pytest.raises(LockedError, match=f"the store in {file} is locked by another process"):
                count_up(database)
    count_up(database)
    assert counter(database) == 100
    other.close()


def test_the_database_of_another_program_is_left_alone(file: Path, database: Database) -> None:
    """A file that has tables of its own is not ours to write in."""
    write(file, "CREATE TABLE books (title TEXT)")
    with pytest.raises(StoreError, match="is a database of another program: name another file"):
        count_up(database)
    write(file, "INSERT INTO books VALUES ('still there')")


def test_nodes_of_several_versions_share_a_file(file: Path, database: Database) -> None:
    """A later schema with more columns is used while it says that it can be."""
    count_up(database)
    write(
        file,
        "ALTER TABLE directory ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'",
        "ALTER TABLE instances ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'",
        f"PRAGMA user_version = {SCHEMA + 1}",
    )
    database.close()
    count_up(database)
    assert counter(database) == 2


@pytest.mark.parametrize("statement", [f"UPDATE directory SET reads = {SCHEMA + 1}", "DELETE FROM directory"])
def test_a_file_of_a_later_version_that_we_would_misread(file: Path, database: Database, statement: str) -> None:
    """It is refused with the way out."""
    count_up(database)
    write(file, statement, f"PRAGMA user_version = {SCHEMA + 1}")
    database.close()
    with pytest.raises(StoreError, match=r"made by a later version \(schema 2, .*update hydra-asgi here"):
        count_up(database)


def test_a_file_says_whose_it_is(file: Path, database: Database) -> None:
    """`file site.db` and other tools can tell what it is."""
    count_up(database)
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_full_disk(database: Database) -> None:
    """What does not fit is undone, and the error says why; reading goes on."""
    count_up(database)
    with database.writing() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    with database.reading() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="cannot grow: the disk is full"), database.writing() as connection:
        connection.execute("INSERT INTO secrets VALUES ('big', zeroblob(100000))")
    assert counter(database) == 1


def test_values_that_the_columns_do_not_take(database: Database) -> None:
    """What somebody writes by hand is checked by the file itself, so that every row can be counted with."""
    with pytest.raises(StoreError, match="does not take a value"), database.writing() as connection:
        connection.execute("UPDATE directory SET watched = 'late'")
    assert counter(database) == 0


def test_text_that_is_not_utf_8_is_read_all_the_same(database: Database) -> None:
    """One poisoned value does not keep the rows beside it from being read."""
    with database.writing() as connection:
        connection.execute("INSERT INTO secrets VALUES (CAST(x'6fff' AS TEXT), x'00')")
    with database.reading() as connection:
        assert connection.execute("SELECT name FROM secrets").fetchone() == ("o\ufffd",)


def test_a_file_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without the right to write is named."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    database = Database(str(tmp_path / "site.db"))
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=r"cannot be made \(Permission denied\): give this process the right to write"):
        count_up(database)


def test_a_place_that_cannot_be_reached(tmp_path: Path) -> None:
    """Whatever the system says is a StoreError that names the file."""
    name = "x" * 300
    with pytest.raises(StoreError, match=r"cannot be made|cannot be reached"):
        count_up(Database(str(tmp_path / name)))


def test_a_replaced_file_is_noticed(file: Path, database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """The next transaction is on the file that is there now, with nothing of the old one's log in it."""
    other_file = file.with_name("other.db")
    other = Database(str(other_file))
    for _ in range(3):
        count_up(other)
    other.close()
    count_up(database)
    caplog.set_level(logging.WARNING)
    other_file.replace(file)
    assert counter(database) == 3
    assert "was replaced or deleted; it is opened anew" in caplog.text


def test_a_new_log_is_not_taken_for_the_old_one(file: Path, database: Database) -> None:
    """Who comes second to a replaced file finds the first one's log there, and leaves it."""
    second = Database(str(file))
    count_up(database)
    count_up(second)
    file.unlink()
    count_up(database)
    count_up(database)
    assert counter(second) == 2
    second.close()


def test_a_file_that_is_replaced_while_it_is_written(file: Path, database: Database) -> None:
    """What went into a file that nobody will open any more is not said to be kept; the next call is on the new one."""
    other = Database(str(file.with_name("other.db")))
    count_up(other)
    other.close()
    count_up(database)

    def replaced_meanwhile() -> None:
        with database.writing() as connection:
            connection.execute("UPDATE directory SET counter = 99")
            file.with_name("other.db").replace(file)

    with pytest.raises(StoreError, match=f"{file} was replaced while it was written: nothing is kept"):
        replaced_meanwhile()
    assert counter(database) == 1


class Swapping(Database):
    """Is opened while somebody puts other files in the place of its own."""

    times = 0

    def _set_up(self, connection: sqlite3.Connection) -> None:
        super()._set_up(connection)
        if self.times:
            self.times -= 1
            file = self._place()
            Path(f"{file}-wal").unlink()
            other = file.with_name(f"other{self.times}.db")
            other.touch(0o600)
            other.replace(file)


@pytest.mark.parametrize(("times", "is_opened"), [(1, True), (3, False)])
def test_a_file_that_is_replaced_while_it_is_opened(file: Path, times: int, is_opened: bool) -> None:
    """The file that is there in the end is the one that is used; one that never stays is an error."""
    database = Swapping(str(file))
    database.times = times
    if is_opened:
        count_up(database)
        assert counter(database) == 1
        connection = sqlite3.connect(file)
        assert connection.execute("SELECT counter FROM directory").fetchone() == (1,)
        connection.close()
    else:
        with pytest.raises(StoreError, match="is replaced again and again: leave it where it is"):
            count_up(database)
    database.close()


def test_who_may_not_make_a_file_does_not(file: Path) -> None:
    """A name that is mistyped is an error, and no second site."""
    database = Database(str(file), may_create=False)
    with pytest.raises(ConfigurationError, match=f"there is no site file {file}: name the one that the nodes use"):
        counter(database)
    assert not file.exists()
    count_up(Database(str(file)))
    assert counter(database) == 1
    database.close()


def test_closing_twice_and_going_on(database: Database) -> None:
    """A closed database is opened again by the next transaction."""
    database.close()
    count_up(database)
    database.close()
    database.close()
    assert counter(database) == 1
