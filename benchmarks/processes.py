"""Processes that the benchmark starts: each on one core, its output in a file, all ended with the run."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["ROOT", "Process", "Processes", "StartError", "free_port"]

ROOT = Path(__file__).parents[1]
START_SECONDS = 15.0
STOP_SECONDS = 3.0


class StartError(Exception):
    """A process ended, or did not answer in time; the message holds the end of its output."""


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One child, and what it has said."""

    def __init__(self, name: str, child: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self._child = child
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def wait_for(self, is_ready: Callable[[], bool]) -> None:
        """Return when it is ready.

        Raises:
            StartError: it ended before, or was not ready in time.
        """
        end = time.monotonic() + START_SECONDS
        while self._child.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError):
                if is_ready():
                    return
            time.sleep(0.05)
        raise StartError(f"{self.name} does not answer: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its output."""
        return self._log.read_text(errors="replace").strip()[-600:] or "it said nothing"

    def end(self) -> None:
        """Ask it to end; kill what is left of it after a while."""
        if self._child.poll() is None:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(STOP_SECONDS)
        # It leads a session of its own, so this reaches workers it may have left, and nobody else.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()


class Processes:
    """Starts processes; leaving the context ends them, the youngest first, also after Ctrl-C and SIGTERM.

    Args:
        folder: for their output.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Process] = []

    def start(self, name: str, command: Sequence[str], *, core: int, env: Mapping[str, str] | None = None) -> Process:
        """Start a process on one core, in the root of the checkout."""
        log = self._folder / f"{len(self._running)}-{name.replace(' ', '-')}.log"
        with log.open("wb") as output, _on_core(core):
            child = subprocess.Popen(  # noqa: S603 - commands of our own making
                command,
                cwd=ROOT,
                env=_environment(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we end the children in order
            )
            process = Process(name, child, log)
            self._running.append(process)
        return process

    def python(self, module: str, *arguments: str, core: int, env: Mapping[str, str] | None = None) -> Process:
        """Start a module of this Python."""
        return self.start(module, [sys.executable, "-m", module, *arguments], core=core, env=env)

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half of them behind
        try:
            for process in reversed(self._running):
                process.end()
        finally:
            signal.signal(signal.SIGINT, before)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _on_core(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # inherited by the child, workers and threads included
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HYDRA_")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}
