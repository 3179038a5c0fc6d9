"""A small Redis cluster on loopback: three masters that share the slots, and replicas that take over for one."""

import contextlib
from pathlib import Path
from typing import Self

from tests.e2e.processes import free_port, wait_until
from tests.faults.redis_client import RedisError
from tests.faults.redis_server import RedisServer

__all__ = ["Cluster"]

NODE_TIMEOUT_MS = 1_000
"""Silent for so long: down. Real clusters wait longer; our bar is about what comes after."""

BOUNDS = (0, 5461, 10922, 16384)
"""Where the slots of each master begin, and where the last ones end."""


class Cluster:
    """Three masters, and replicas of the one that has the keys of a namespace.

    Args:
        folder: for the files of all of them.
        namespace: whose keys count.
        replicas: of that master.

    Attributes:
        masters: as they are at the start.
        owner: the one of them that has the keys.
        replicas: of the owner.
    """

    def __init__(self, folder: Path, *, namespace: str = "hydra", replicas: int = 0) -> None:
        self._key = f"hydra:{{{namespace}}}:meta"
        self._buses: dict[int, int] = {}
        self.masters = [self._node(folder) for _ in range(3)]
        self.replicas = [self._node(folder) for _ in range(replicas)]
        self.owner = self.masters[0]
        self._stack = contextlib.ExitStack()

    @property
    def nodes(self) -> list[RedisServer]:
        """All of them, masters first."""
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        """Names two nodes, none of which has to be the one with the keys."""
        return f"redis+cluster://127.0.0.1:{self.masters[0].port},127.0.0.1:{self.masters[1].port}"

    def ask_all(self, *command: str | bytes | int) -> None:
        """Send one command to every node."""
        for node in self.nodes:
            node.ask(*command)

    def wait_for_successor(self) -> None:
        """Return when a replica has become the master of the keys."""
        wait_until(lambda: any(map(_is_master, self.replicas)), "a replica takes over", 30)

    def _node(self, folder: Path) -> RedisServer:
        bus = free_port()
        options = {
            "cluster-enabled": "yes",
            "cluster-port": str(bus),
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            "repl-diskless-sync-delay": "0",
        }
        node = RedisServer(folder, options=options)
        self._buses[node.port] = bus
        return node

    def _join(self) -> None:
        first = self.masters[0]
        for master, begin, end in zip(self.masters, BOUNDS, BOUNDS[1:], strict=False):
            master.ask("CLUSTER", "ADDSLOTSRANGE", begin, end - 1)
        for node in self.nodes[1:]:
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, self._buses[node.port])
        wait_until(lambda: all(map(self._is_joined, self.nodes)), "the nodes know each other", 30)
        slot = first.ask("CLUSTER", "KEYSLOT", self._key)
        assert isinstance(slot, int)
        self.owner = next(node for node, end in zip(self.masters, BOUNDS[1:], strict=True) if slot < end)
        name = self.owner.ask("CLUSTER", "MYID")
        assert isinstance(name, bytes)
        for replica in self.replicas:
            replica.ask("CLUSTER", "REPLICATE", name)
        wait_until(lambda: all(map(self._is_followed, self.replicas)), "the replicas follow", 30)
        if self.replicas:
            # Who votes has to have heard of them, too.
            wait_until(lambda: all(map(self._is_known_as_replica, self.masters)), "all know of the replicas", 30)

    def _is_joined(self, node: RedisServer) -> bool:
        answer = node.ask("CLUSTER", "INFO")
        assert isinstance(answer, bytes)
        return b"cluster_state:ok" in answer and b"cluster_known_nodes:%d\r" % len(self.nodes) in answer

    def _is_known_as_replica(self, node: RedisServer) -> bool:
        answer = node.ask("CLUSTER", "NODES")
        assert isinstance(answer, bytes)
        return answer.count(b"slave") == len(self.replicas)

    @staticmethod
    def _is_followed(replica: RedisServer) -> bool:
        return replica.info("replication").get("master_link_status") == "up"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self._join()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()


def _is_master(node: RedisServer) -> bool:
    with contextlib.suppress(OSError, RedisError):
        return node.info("replication")["role"] == "master"
    return False
