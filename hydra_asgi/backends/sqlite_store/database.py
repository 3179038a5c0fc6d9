"""One process's connection to the file: opened when it is needed, given up when the file is not the same any more.

Everything here waits, and so runs in a thread of its own. Rules for editors: a transaction is short and asks nobody; a
read takes no lock; nothing of an error of SQLite leaves this module but a `StoreError`.
"""

import contextlib
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from hydra_asgi.backends.sqlite_store.location import check_place, locate
from hydra_asgi.backends.sqlite_store.schema import prepare
from hydra_asgi.backends.sqlite_store.trouble import is_locked, store_error
from hydra_asgi.errors import ConfigurationError, StoreError

__all__ = ["BUSY_SECONDS", "Database"]

_logger = logging.getLogger("hydra_asgi.store")

BUSY_SECONDS = 0.25
"""How long a write waits for those of other processes. Each takes less than a millisecond: a process that holds the
file for longer is stopped, and no caller is to be kept waiting by it."""

_IMPATIENT_SECONDS = 0.005
"""How long a write waits when the one before has waited in vain: calls must not pile up behind a stopped process."""

_PAUSES = (0.0, 0.0005, 0.001, 0.002)
"""Between attempts to begin, in seconds; the last one goes on. SQLite's own pauses grow to 100 ms, which makes some
processes wait very long when many write at once."""

_LARGEST = 4_194_304
"""Bytes of one value or row that are read at all."""

_OPENINGS = 3
"""How often a file is opened that is replaced while that is done: a deployment does it once."""

_Identity = tuple[int, int]


class Database:
    """The file, as one thread sees it.

    Args:
        path: as in the URL; see `locate`.
        may_create: whether a file that is not there is made; else transactions raise a `ConfigurationError`.
    """

    def __init__(self, path: str, *, may_create: bool = True) -> None:
        self._path = path
        self._may_create = may_create
        self._file: Path | None = None
        self._connection: sqlite3.Connection | None = None
        self._identity: _Identity | None = None
        self._log: _Identity | None = None
        self._is_patient = True

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A view of one moment; does not wait for writers.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._transaction("BEGIN") as connection:
            # The first look after a crash may have to wait until another process has read the log.
            self._begin(connection, "SELECT 1 FROM directory")
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes in. What is done in it is kept as a whole, or not at all.

        Raises:
            StoreError: the file cannot be written, or somebody else holds it for too long.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection
        if self._identity != _identity(self._place()):
            # Written into a file that nobody will open any more.
            raise StoreError(f"the store's file {self._place()} was replaced while it was written: nothing is kept")

    def close(self) -> None:
        """Give the file back."""
        connection, self._connection, self._identity = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._open()
            self._begin(connection, begin)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            if not is_locked(error):
                # Whatever it was, the next call looks at the file afresh.
                self.close()
            raise store_error(error, self._place()) from error
        except OSError as error:
            raise StoreError(f"the store's file {self._file or self._path} cannot be reached: {error}") from error

    def _open(self) -> sqlite3.Connection:
        """The connection to the file that is there now."""
        file = self._place()
        if self._connection is not None:
            if self._identity == _identity(file):
                return self._connection
            # Deleted or replaced: whoever goes on with the old file talks to nobody.
            _logger.warning("the store's file %s was replaced or deleted; it is opened anew", file)
            self.close()
            self._remove_log(file)
        check_place(file)
        for _ in range(_OPENINGS):
            connection, identity = self._connect(file)
            # The library opens the file at some moment between two looks at it, so both have to have seen the same.
            if identity is not None and identity == _identity(file):
                self._connection, self._identity, self._log = connection, identity, _identity(_log_of(file))
                return connection
            connection.close()
        raise StoreError(f"the store's file {file} is replaced again and again: leave it where it is")

    def _connect(self, file: Path) -> tuple[sqlite3.Connection, _Identity | None]:
        """A connection that is ready, and which file was there before it was made."""
        if self._may_create:
            _make(file)
        elif not file.exists():
            raise ConfigurationError(
                f"there is no site file {file}: name the one that the nodes use (--store or HYDRA_STORE); a node makes "
                "it when it starts"
            )
        identity = _identity(file)
        connection = sqlite3.connect(file, timeout=0, isolation_level=None)
        try:
            self._set_up(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, StoreError):
                raise StoreError(f"the store in {file} cannot be used: {error}") from None
            raise
        return connection, identity

    def _remove_log(self, file: Path) -> None:
        """Take the old file's log away: SQLite would read it as if it were that of the new one."""
        log = _log_of(file)
        if self._log is not None and _identity(log) == self._log:
            log.unlink(missing_ok=True)

    def _set_up(self, connection: sqlite3.Connection) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST)
        # One value that is not UTF-8 must not make the rows beside it unreadable.
        connection.text_factory = lambda value: value.decode(errors="replace")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        # Waits for the disk only when the log is folded into the file: a crash of the machine may cost the last
        # seconds, never the whole (sqlite.org/pragma.html#pragma_synchronous).
        connection.execute("PRAGMA synchronous = NORMAL")
        self._begin(connection, "PRAGMA journal_mode = WAL")
        self._begin(connection, "BEGIN IMMEDIATE")
        prepare(connection)
        connection.execute("COMMIT")

    def _begin(self, connection: sqlite3.Connection, statement: str) -> None:
        """Execute a statement that may have to wait for other processes."""
        end = time.monotonic() + (BUSY_SECONDS if self._is_patient else _IMPATIENT_SECONDS)
        attempt = 0
        while True:
            try:
                connection.execute(statement)
            except sqlite3.Error as error:
                if not is_locked(error):
                    raise
                if time.monotonic() >= end:
                    self._is_patient = False
                    raise
            else:
                self._is_patient = True
                return
            time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1

    def _place(self) -> Path:
        # Once: the working directory may change later, and the processes of one site start in the same one.
        if self._file is None:
            try:
                self._file = locate(self._path)
            except StoreError as error:
                if self._may_create:
                    raise  # somebody may make the folder yet
                raise ConfigurationError(str(error)) from None
        return self._file


def _log_of(file: Path) -> Path:
    """Where SQLite keeps what has not been folded into the file yet (sqlite.org/wal.html)."""
    return file.with_name(file.name + "-wal")


def _identity(file: Path) -> _Identity | None:
    """What tells one file from the next of that name; None when there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make(file: Path) -> None:
    """Make an empty file that only its owner can read, because secrets are kept in it; warn of one that others can."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        mode = stat.S_IMODE(os.stat(file).st_mode)
        if os.name == "posix" and mode & 0o007:
            _logger.warning(
                "the store's file %s can be read by every user of this machine (mode %o), and it holds secrets: "
                "chmod 600 it",
                file,
                mode,
            )
    except OSError as error:
        raise StoreError(
            f"the store's file {file} cannot be made ({error.strerror}): give this process the right to write in "
            f"{file.parent}"
        ) from error
