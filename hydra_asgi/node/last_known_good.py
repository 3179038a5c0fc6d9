"""Keeps what a gateway knows in a file, so that it can serve at once when it starts while the store is away.

The file is written beside its place and moved there, so a reader finds the old one or the new one. Whatever cannot be
read, is too old, or may have been written by somebody else is left alone, with one line in the log.
"""

import asyncio
import contextlib
import logging
import os
import stat
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from hydra_asgi.core.instance import Snapshot
from hydra_asgi.errors import HydraError
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.wire.stored_snapshot import MAX_SNAPSHOT, dump_snapshot, parse_snapshot

__all__ = ["LastKnownGood"]

PAUSE_SECONDS = 5.0
"""Between two writes, however often the directory changes: what happened meanwhile is heard from the store."""

CONFIRM_SECONDS = 3600.0
"""How often a file that is still true is marked as such."""

MAX_AGE_SECONDS = 24 * 3600.0
"""What was last true a day ago names addresses that may belong to somebody else by now."""

_logger = logging.getLogger("hydra_asgi.directory")


class _UnusableError(Exception):
    """The file may not be used; the text says why."""


class LastKnownGood:
    """The file of one gateway.

    Args:
        path: of the file. Its directory has to be there.
        wall: unix seconds, to be compared with the file's own time.
        sleep: waits.
    """

    def __init__(
        self,
        path: str,
        *,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._path = Path(path)
        self._wall = wall
        self._sleep = sleep
        self._trouble = ""

    async def recall(self) -> Snapshot | None:
        """What was known last; None when there is nothing, or nothing that may be used."""
        try:
            return await asyncio.to_thread(self._read)
        except FileNotFoundError:
            return None
        except (OSError, HydraError, _UnusableError) as error:
            _logger.warning("the last known directory in %s is not used: %s", self._path, _reason(error))
            return None

    async def follow(self, directory: Directory) -> None:
        """Write what the directory knows whenever that has changed and is sound, until cancelled."""
        changed = asyncio.Event()
        changed.set()
        end = directory.on_update(lambda _: changed.set())
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CONFIRM_SECONDS):
                        await changed.wait()
                if directory.health.status == "ok":
                    changed.clear()
                    await self.keep(directory.state.snapshot)
                await self._sleep(PAUSE_SECONDS)
        finally:
            end()

    async def keep(self, snapshot: Snapshot) -> None:
        """Write a snapshot. Trouble is told once, and again when it is another one."""
        trouble = ""
        try:
            await asyncio.to_thread(self._write, snapshot)
        except (OSError, HydraError) as error:
            trouble = _reason(error)
        if trouble and trouble != self._trouble:
            _logger.warning("the last known directory cannot be kept in %s: %s", self._path, trouble)
        self._trouble = trouble

    def _read(self) -> Snapshot:
        # Not blocking, so that a pipe in this place holds nobody.
        with open(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            self._check(os.fstat(file.fileno()))
            return parse_snapshot(file.read(MAX_SNAPSHOT + 1))

    def _check(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise _UnusableError("it is no file")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid not in (os.geteuid(), 0):
            raise _UnusableError("others may write it; it has to belong to this user, with mode 0600")
        age = self._wall() - status.st_mtime
        if age > MAX_AGE_SECONDS:
            raise _UnusableError(f"it was last true {age / 3600:.0f} hours ago")

    def _write(self, snapshot: Snapshot) -> None:
        body = dump_snapshot(snapshot)
        # Made with mode 0600.
        handle, beside = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with open(handle, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise


def _reason(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])
