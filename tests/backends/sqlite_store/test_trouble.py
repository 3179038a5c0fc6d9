"""What SQLite's errors mean for an operator."""

import os
import sqlite3
from pathlib import Path

import pytest

from hydra_asgi.backends.sqlite_store.trouble import LockedError, is_locked, store_error


def error_of(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (sqlite3.SQLITE_READONLY, "cannot be written: give this process the right"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "cannot be written: give this process the right"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened: give this process the right"),
        (sqlite3.SQLITE_FULL, "cannot grow: the disk is full"),
        (sqlite3.SQLITE_IOERR_WRITE, "the disk reports an error"),
        (sqlite3.SQLITE_NOTADB, "is not an SQLite database: move the file away"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "is damaged: move the file away"),
        (sqlite3.SQLITE_TOOBIG, "too large to be read"),
        (sqlite3.SQLITE_CONSTRAINT_CHECK, "does not take a value"),
        (sqlite3.SQLITE_INTERRUPT, "failed: as SQLite says it"),
    ],
)
def test_every_error_is_told_in_plain_words(tmp_path: Path, code: int, told: str) -> None:
    """The file, what is wrong with it, and what to do; variants of an error are the same error."""
    file = tmp_path / "site.db"
    message = str(store_error(error_of(code), file))
    assert message.startswith(f"the store in {file} ")
    assert told in message


def test_an_error_of_our_own_has_no_code() -> None:
    """It is told as it is."""
    assert str(store_error(sqlite3.DatabaseError("gone"), Path("/x"))) == "the store in /x failed: gone"


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_LOCKED])
def test_a_lock_is_an_error_of_its_own(code: int) -> None:
    """Whoever may go on without writing can tell."""
    assert is_locked(error_of(code))
    assert isinstance(store_error(error_of(code), Path("/x")), LockedError)
    assert not is_locked(error_of(sqlite3.SQLITE_FULL))


def test_a_wrong_owner_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two users of one file is what most often goes wrong on a server."""
    file = tmp_path / "site.db"
    file.touch()
    assert "belongs to" not in str(store_error(error_of(sqlite3.SQLITE_READONLY), file))
    owner = file.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1, raising=False)
    told = str(store_error(error_of(sqlite3.SQLITE_READONLY), file))
    assert told.endswith(f"(it belongs to user {owner}, this process is user {owner + 1})")
    assert "belongs to" not in str(store_error(error_of(sqlite3.SQLITE_FULL), file))
    monkeypatch.delattr(os, "geteuid")
    assert "belongs to" not in str(store_error(error_of(sqlite3.SQLITE_READONLY), file))
