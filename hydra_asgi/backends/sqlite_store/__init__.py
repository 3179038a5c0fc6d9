"""The directory in one SQLite file, shared by the processes of one host: `SqliteStore`."""

from hydra_asgi.backends.sqlite_store.store import SqliteStore, open_sqlite_store

__all__ = ["SqliteStore", "open_sqlite_store"]
