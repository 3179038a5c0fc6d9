"""A master, its replicas and the sentinels that watch them, on loopback: real failovers for tests."""

import contextlib
import shutil
from pathlib import Path
from typing import Self

from tests.e2e.processes import free_port, wait_until
from tests.faults.needs import need
from tests.faults.redis_client import RedisError
from tests.faults.redis_server import RedisServer

__all__ = ["MASTER", "Sentinels"]

MASTER = "site"
"""The name under which the sentinels watch."""

DOWN_AFTER_MS = 1_000
"""Silent for so long: down. Real sites wait longer; our bar is about what comes after."""


class Sentinels:
    """One master, two replicas, three sentinels.

    Args:
        folder: for the files of all of them.
        options: of the three servers.

    Attributes:
        servers: the three; the first is the master at the start.
        sentinels: the three that watch.
    """

    def __init__(self, folder: Path, options: dict[str, str] | None = None) -> None:
        first = free_port()
        self.servers = [
            RedisServer(folder, port=first, options=options),
            *(
                RedisServer(
                    folder,
                    options={"replicaof": f"127.0.0.1 {first}", "repl-diskless-sync-delay": "0", **(options or {})},
                )
                for _ in range(2)
            ),
        ]
        program = need(shutil.which("redis-sentinel"), "redis-sentinel: apt-get install redis-sentinel")
        self.sentinels = [_sentinel(folder, program, first) for _ in range(3)]
        self._stack = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """Names all sentinels and the master."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{MASTER}/0"

    @property
    def master(self) -> RedisServer:
        """The server that the sentinels name now."""
        for sentinel in self.sentinels:
            with contextlib.suppress(OSError, RedisError):
                answer = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
                assert isinstance(answer, list)
                assert isinstance(answer[1], bytes)
                return next(server for server in self.servers if server.port == int(answer[1]))
        raise AssertionError("no sentinel answers")

    def fail_over(self) -> None:
        """Ask for a failover while all is well, and return when another server is the master for every sentinel."""
        before = self.master
        wait_until(self._fails_over, "a sentinel agrees to a failover")
        wait_until(lambda: self._agree_on_another(before), "a failover")

    def wait_for_another(self, before: RedisServer) -> None:
        """Return when another server than `before` is the master for every sentinel."""
        wait_until(lambda: self._agree_on_another(before), f"another master than {before.port}", 30)

    def _fails_over(self) -> bool:
        try:
            return self.sentinels[0].ask("SENTINEL", "FAILOVER", MASTER) == b"OK"
        except RedisError:
            return False  # INPROG or NOGOODSLAVE: a moment later

    def _agree_on_another(self, before: RedisServer) -> bool:
        ports = {str(sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)) for sentinel in self.sentinels}
        return len(ports) == 1 and self.master is not before and self._is_master(self.master)

    @staticmethod
    def _is_master(server: RedisServer) -> bool:
        return server.info("replication")["role"] == "master"

    def _is_watched(self) -> bool:
        """Every sentinel knows both replicas and both others, and the replicas have caught up."""
        for sentinel in self.sentinels:
            answer = sentinel.ask("SENTINEL", "MASTER", MASTER)
            assert isinstance(answer, list)
            known = dict(zip(answer[::2], answer[1::2], strict=True))
            if known[b"num-slaves"] != b"2" or known[b"num-other-sentinels"] != b"2" or known[b"flags"] != b"master":
                return False
        links = [server.info("replication").get("master_link_status") for server in self.servers[1:]]
        return links == ["up", "up"]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for server in (*self.servers, *self.sentinels):
                stack.enter_context(server)
            wait_until(self._is_watched, "the sentinels know each other and the replicas", 30)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()


def _sentinel(folder: Path, program: str, watched: int) -> RedisServer:
    port = free_port()
    config = folder / f"sentinel-{port}.conf"
    config.write_text(
        f"port {port}\n"
        "bind 127.0.0.1\n"
        f"sentinel monitor {MASTER} 127.0.0.1 {watched} 2\n"
        f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
        f"sentinel failover-timeout {MASTER} 3000\n"
    )
    return RedisServer(folder, port=port, binary=program, config=config)
