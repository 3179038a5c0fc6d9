"""Several processes of one gateway: they listen on the same sockets, and share their directory through the store."""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType

from hydra_asgi.cli.listening import CONTROL, bind
from hydra_asgi.cli.recipe import Recipe
from hydra_asgi.cli.serving import LOG_FORMAT, Listeners, Serving, serve
from hydra_asgi.errors import ConfigurationError

__all__ = ["serve_in_workers"]

AGAIN_SECONDS = 1.0
"""After a worker that was serving has ended by itself: long enough not to spin, too short to be missed for long."""

KILL_SECONDS = 5.0
"""How long beyond its grace a worker may take to end."""

_logger = logging.getLogger("hydra_asgi.workers")


def serve_in_workers(count: int, recipe: Recipe, serving: Serving) -> int:
    """Serve with so many processes until a signal comes; returns the exit code.

    A worker that ends by itself is started again, unless it never came to serve.

    Raises:
        ConfigurationError: a port cannot be had.
    """
    logging.basicConfig(level=serving.log_level.upper(), format=LOG_FORMAT)
    public = bind(serving.host, serving.port)
    try:
        inner = None if serving.control is None else bind(*serving.control, CONTROL)
        try:
            return _Workers(count, recipe, serving, Listeners(public, inner)).run()
        finally:
            if inner is not None:
                inner.close()
    finally:
        public.close()


class _Workers:
    def __init__(self, count: int, recipe: Recipe, serving: Serving, listeners: Listeners) -> None:
        self._count = count
        self._given = recipe, serving, listeners
        self._grace = serving.grace
        # Not forked: a child would inherit whatever state the libraries of this process are in.
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._is_stopping = False

    def run(self) -> int:
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._reload)
        try:
            self._workers = [self._start() for _ in range(self._count)]
            return self._watch()
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self) -> "_Worker":
        mine, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(theirs, *self._given), name="hydra-asgi worker")
        process.start()
        theirs.close()
        return _Worker(process, mine)

    def _watch(self) -> int:
        while not self._told_to_stop():
            # A signal does not interrupt the wait, hence the second.
            wait([worker.process.sentinel for worker in self._workers], 1.0)
            for place, worker in enumerate(self._workers):
                if worker.process.is_alive():
                    continue
                if self._told_to_stop():  # meanwhile
                    return 0
                code = worker.process.exitcode
                if not worker.has_served:
                    _logger.error("a worker, pid %s, ended with %s before it served; see above", worker.pid, code)
                    return 1
                _logger.error("a worker, pid %s, ended with %s; another one is started", worker.pid, code)
                worker.close()
                time.sleep(AGAIN_SECONDS)
                self._workers[place] = self._start()
        return 0

    def _told_to_stop(self) -> bool:
        return self._is_stopping

    def _end(self) -> None:
        for worker in self._workers:
            worker.signal(signal.SIGTERM)
        until = time.monotonic() + self._grace + KILL_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                _logger.error("a worker, pid %s, did not end in time and is killed", worker.pid)
                worker.process.kill()
                worker.process.join()
            worker.close()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True
        for worker in self._workers:
            worker.signal(signal.SIGTERM)

    def _reload(self, number: int, frame: FrameType | None) -> None:
        for worker in self._workers:
            # One that does not serve yet reads the file anyhow, and would end by this signal.
            if worker.has_served:
                worker.signal(number)


class _Worker:
    def __init__(self, process: BaseProcess, told: Connection) -> None:
        self.process = process
        self.pid = process.pid
        self._told = told
        self._has_served = False

    @property
    def has_served(self) -> bool:
        if not self._has_served and self._told.poll():
            # Also when the worker has ended, and then there may be nothing.
            with contextlib.suppress(EOFError):
                self._has_served = bool(self._told.recv_bytes())
        return self._has_served

    def signal(self, number: int) -> None:
        if self.process.is_alive() and self.pid is not None:
            os.kill(self.pid, number)

    def close(self) -> None:
        self._told.close()
        self.process.close()


def _work(told: Connection, recipe: Recipe, serving: Serving, listeners: Listeners) -> None:
    """What a worker does, from beginning to end."""
    # Ctrl-C is for the parent, which lets all workers end in good order.
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        serve(recipe.make(), serving, listeners, _teller(told))
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


def _teller(told: Connection) -> Callable[[], None]:
    def tell() -> None:
        told.send_bytes(b"serves")

    return tell


def _end_with_parent() -> None:
    """A parent that was killed cannot say anything any more, and nobody would end this process then."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
