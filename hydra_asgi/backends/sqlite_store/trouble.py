"""What SQLite's errors mean for an operator."""

import os
import sqlite3
from pathlib import Path

from hydra_asgi.errors import StoreError

__all__ = ["LockedError", "is_locked", "store_error"]


class LockedError(StoreError):
    """Another process holds the file for longer than anybody should."""


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another process is writing just now, so that it is worth trying again in a moment."""
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def store_error(error: sqlite3.Error, file: Path) -> StoreError:
    """Say in plain words what went wrong with the file, and what to do."""
    if is_locked(error):
        return LockedError(f"the store in {file} is locked by another process; it is tried again with the next call")
    explained = _EXPLAINED.get(_code(error))
    if explained is None:
        return StoreError(f"the store in {file} failed: {str(error)[:200]}")
    return StoreError(f"the store in {file} {explained}{_owner(error, file)}")


def _code(error: sqlite3.Error) -> int:
    """The primary result code; the upper bits tell variants apart (sqlite.org/rescode.html)."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def _owner(error: sqlite3.Error, file: Path) -> str:
    """Whose file it is, where that may be the reason."""
    if _code(error) not in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return ""
    if not hasattr(os, "geteuid"):
        return ""
    try:
        owner, we = file.stat().st_uid, os.geteuid()
    except OSError:
        return ""
    return "" if owner == we else f" (it belongs to user {owner}, this process is user {we})"


_EXPLAINED = {
    sqlite3.SQLITE_READONLY: "cannot be written: give this process the right to write the file and its folder",
    sqlite3.SQLITE_PERM: "cannot be opened: give this process the right to read and write the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: give this process the right to read and write the file and its folder",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database: move the file away, and a new directory is made in its place",
    sqlite3.SQLITE_CORRUPT: (
        "is damaged: move the file away, and a new directory is made in its place. Services come back by themselves, "
        "central settings and secrets do not"
    ),
    sqlite3.SQLITE_TOOBIG: "holds a value that is too large to be read",
    sqlite3.SQLITE_CONSTRAINT: "does not take a value: it was written by a different version, or by hand",
}
