"""Namespaces: what is cut off, and what is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.netns import Namespace
from tests.faults.redis_server import RedisServer

pytestmark = pytest.mark.e2e

ASK = """
import socket, sys
stream = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)
stream.sendall(b"PING\\r\\n")
print(stream.recv(99))
"""


def asked_inside(island: Namespace, port: int) -> str:
    """What a client inside hears of a Redis at our end, or how it fails."""
    command = island.command([sys.executable, "-c", ASK, island.gateway, str(port)])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return (done.stdout or done.stderr).strip().splitlines()[-1]


def test_a_partition_cuts_off_one_port_until_it_heals(tmp_path: Path) -> None:
    """Lost packets are silence, a refused network fails at once, other ports and other clients notice nothing."""
    with Namespace() as island:
        hosts = ("127.0.0.1", island.gateway)
        with RedisServer(tmp_path, hosts=hosts) as redis, RedisServer(tmp_path, hosts=hosts) as other:
            assert asked_inside(island, redis.port) == "b'+PONG\\r\\n'"
            island.drop_answers(redis.port)
            assert "timed out" in asked_inside(island, redis.port)
            assert asked_inside(island, other.port) == "b'+PONG\\r\\n'"
            assert redis.ask("PING") == b"PONG"
            island.heal()
            assert asked_inside(island, redis.port) == "b'+PONG\\r\\n'"
            island.refuse(redis.port)
            assert "unreachable" in asked_inside(island, redis.port)
            island.heal()
            island.drop(redis.port)
            assert "PONG" not in asked_inside(island, redis.port)


def test_nothing_is_left_of_a_namespace() -> None:
    """Namespaces and links are removed, also after a failure."""
    with Namespace() as island:
        assert island.name in said("netns", "list")
    assert island.name not in said("netns", "list")
    assert island.gateway not in said("addr")
    assert island.address not in said("rule")


def said(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True, timeout=10).stdout
