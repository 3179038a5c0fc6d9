"""The tables of a directory in a file, and how a file becomes one.

Rules for editors, because nodes of several versions use one file at once:

- Columns and tables are only added, with defaults that older nodes may leave as they are; `SCHEMA` goes up by one, and
  `prepare` brings an older file up to it.
- Statements name their columns, so that one more disturbs nobody.
- What older nodes must not write beside raises `READS` to the new number: they refuse the file then, and say why.
"""

import sqlite3
from secrets import token_hex

from hydra_asgi.errors import StoreError

__all__ = ["APPLICATION", "READS", "SCHEMA", "prepare"]

SCHEMA = 1
READS = 1

APPLICATION = 0x48594452
"""SQLite's `application_id`: the file says whose it is ("HYDR")."""

_TABLES = (
    # One row. `due`, `seen` and `watched` are seconds; `machine` names the clock that `seen` was read from.
    """
    CREATE TABLE directory (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        reads INTEGER NOT NULL CHECK (typeof(reads) = 'integer'),
        epoch TEXT NOT NULL CHECK (typeof(epoch) = 'text'),
        counter INTEGER NOT NULL CHECK (typeof(counter) = 'integer'),
        orders INTEGER NOT NULL CHECK (typeof(orders) = 'integer'),
        due REAL NOT NULL CHECK (typeof(due) = 'real'),
        seen REAL CHECK (typeof(seen) IN ('real', 'null')),
        watched REAL NOT NULL CHECK (typeof(watched) = 'real'),
        machine TEXT NOT NULL CHECK (typeof(machine) = 'text')
    )
    """,
    # The checks keep out what somebody writes by hand: a row that is there can be counted with.
    """
    CREATE TABLE instances (
        id INTEGER PRIMARY KEY,
        service TEXT NOT NULL CHECK (typeof(service) = 'text'),
        address TEXT NOT NULL CHECK (typeof(address) = 'text'),
        token INTEGER NOT NULL UNIQUE CHECK (typeof(token) = 'integer'),
        place INTEGER NOT NULL CHECK (typeof(place) = 'integer'),
        active INTEGER NOT NULL CHECK (active IN (0, 1)),
        weight REAL NOT NULL CHECK (typeof(weight) = 'real'),
        vouched_until REAL NOT NULL CHECK (typeof(vouched_until) = 'real'),
        held_until REAL CHECK (typeof(held_until) IN ('real', 'null')),
        silent_since REAL CHECK (typeof(silent_since) IN ('real', 'null')),
        document BLOB NOT NULL CHECK (typeof(document) = 'blob' AND length(document) <= 2097152),
        UNIQUE (service, address)
    )
    """,
    """
    CREATE TABLE leases (
        id TEXT NOT NULL PRIMARY KEY CHECK (typeof(id) = 'text'),
        instance INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
        service TEXT NOT NULL CHECK (typeof(service) = 'text'),
        caller TEXT NOT NULL CHECK (typeof(caller) = 'text'),
        signed INTEGER NOT NULL CHECK (signed IN (0, 1)),
        beat REAL NOT NULL CHECK (typeof(beat) = 'real'),
        draining INTEGER NOT NULL CHECK (draining IN (0, 1)),
        counter INTEGER NOT NULL CHECK (typeof(counter) = 'integer')
    ) WITHOUT ROWID
    """,
    "CREATE INDEX leases_by_instance ON leases (instance)",
    "CREATE INDEX leases_by_caller ON leases (service, caller)",
    """
    CREATE TABLE settings (
        service TEXT NOT NULL PRIMARY KEY CHECK (typeof(service) = 'text'),
        document BLOB NOT NULL CHECK (typeof(document) = 'blob' AND length(document) <= 2097152)
    )
    """,
    """
    CREATE TABLE secrets (
        name TEXT NOT NULL PRIMARY KEY CHECK (typeof(name) = 'text'),
        value BLOB NOT NULL CHECK (typeof(value) = 'blob' AND length(value) <= 1048576)
    )
    """,
    """
    CREATE TABLE nonces (
        id INTEGER PRIMARY KEY,
        nonce TEXT NOT NULL UNIQUE CHECK (typeof(nonce) = 'text'),
        until REAL NOT NULL CHECK (typeof(until) = 'real')
    )
    """,
    "CREATE INDEX nonces_by_end ON nonces (until)",
)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables in a new file, or see that an old one can be used. To be called within a transaction.

    Raises:
        StoreError: the file is a database of something else, or needs a later version of this library.
    """
    application, version = _number(connection, "application_id"), _number(connection, "user_version")
    if (application, version) == (0, 0) and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO directory (id, reads, epoch, counter, orders, due, seen, watched, machine) "
            "VALUES (1, ?, ?, 0, 0, ?, NULL, 0.0, '')",
            (READS, token_hex(8), float("inf")),
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        return
    if application != APPLICATION or version < 1:
        raise StoreError("it is a database of another program: name another file as the store")
    if version > SCHEMA:
        (reads,) = connection.execute("SELECT reads FROM directory").fetchone() or (version,)
        if reads > SCHEMA:
            raise StoreError(
                f"it was made by a later version (schema {version}, readable from {reads} on; this one has {SCHEMA}): "
                "update hydra-asgi here, or name another file as the store"
            )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (value,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(value)
