"""Real servers in processes of their own, on loopback, for tests that need a whole site."""

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

__all__ = ["SERVERS", "Process", "all_of", "free_port", "is_free", "server_command", "wait_until"]

ROOT = Path(__file__).parents[2]
BYTECODE = tempfile.mkdtemp(prefix="hydra-asgi-bytecode-")
"""What the first process has compiled, for the others: without it half of a process's start is compiling again."""
atexit.register(shutil.rmtree, BYTECODE, ignore_errors=True)

SERVERS = ("uvicorn", "granian", "hypercorn")


def free_port() -> int:
    """A TCP port that nobody listens on now, outside the range from which clients get theirs meanwhile."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        if is_free(port):
            return port
    raise AssertionError("no free port")


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def wait_until(condition: Callable[[], object], what: str | Callable[[], str], seconds: float = 15.0) -> None:
    """Poll `condition()` until it is true; the failure says what was waited for, as it is known then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(f"{what() if callable(what) else what}: not within {seconds} s")


def server_command(server: str, app: str, port: int, *, lifespan: bool = True) -> list[str]:
    """The command that serves `module:attribute` (an app, not a factory) with one of `SERVERS`."""
    python = [sys.executable, "-m"]
    if server == "uvicorn":
        options = ["--lifespan", "on" if lifespan else "off", "--log-level", "warning"]
        return [*python, "uvicorn", app, "--host", "127.0.0.1", "--port", str(port), *options]
    if server == "granian":
        interface = "asgi" if lifespan else "asginl"
        return [*python, "granian", app, "--interface", interface, "--host", "127.0.0.1", "--port", str(port)]
    return [*python, "hypercorn", app, "--bind", f"127.0.0.1:{port}"]


class Process:
    """A child process with its output in a file; ended when the context is left, however the test went."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        errors: Path | None = None,
    ) -> None:
        self.command = list(command)
        self.log = log
        self.errors = errors or log
        self.port = port
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": BYTECODE}
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **compiled, **(env or {})}
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def error_output(self) -> str:
        return self.errors.read_text(errors="replace")

    def start(self) -> Self:
        with self.log.open("ab") as output, self.errors.open("ab") as errors:
            self._child = subprocess.Popen(
                self.command, cwd=ROOT, env=self._env, stdout=output, stderr=errors, start_new_session=True
            )
        if self.port is not None:
            try:
                wait_until(self.is_listening, lambda: f"{self.command} listens on {self.port}\n{self.output}", 30)
            except BaseException:
                self.kill()  # whoever could not enter the context does not leave it either
                raise
        return self

    def is_listening(self) -> bool:
        self.check_alive()
        with socket.create_connection(("127.0.0.1", self.port or 0), 0.2):
            return True

    def check_alive(self) -> None:
        """Fail now, with what the process said, if it has ended."""
        assert self._child is not None
        code = self._child.poll()
        assert code is None, f"{self.command} ended with {code}\n{self.output}\n{self.error_output}"

    def kill(self) -> None:
        """SIGKILL to the process and its children: no goodbye to anybody."""
        self._signal_group(signal.SIGKILL)

    def terminate(self, seconds: float = 15.0) -> int:
        """SIGTERM, then wait for the end; returns the exit code."""
        assert self._child is not None
        self._child.send_signal(signal.SIGTERM)
        return self._child.wait(seconds)

    def signal(self, number: int) -> None:
        """Send a signal to the process, and go on at once."""
        assert self._child is not None
        self._child.send_signal(number)

    def wait(self, seconds: float = 15.0) -> int:
        """Wait for the end; returns the exit code."""
        assert self._child is not None
        return self._child.wait(seconds)

    def interrupt(self, seconds: float = 15.0) -> int:
        """SIGINT as Ctrl-C sends it, then wait for the end; returns the exit code."""
        assert self._child is not None
        self._signal_group(signal.SIGINT)
        return self._child.wait(seconds)

    def _signal_group(self, number: int) -> None:
        assert self._child is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)
        if number == signal.SIGKILL:
            self._child.wait(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        if self._child is not None:
            self._signal_group(signal.SIGKILL)


@contextlib.contextmanager
def all_of(*processes: Process) -> Iterator[None]:
    """Start several, in order; end all of them in any case."""
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.enter_context(process)
        yield
