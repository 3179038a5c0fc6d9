"""A gateway in several processes."""

import http.client
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from hydra_asgi.cli.recipe import Recipe
from hydra_asgi.cli.serving import Serving
from hydra_asgi.cli.workers import serve_in_workers
from hydra_asgi.core.admission.signature import sign
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.wire.announcement import registration_json
from tests.e2e.client import get
from tests.e2e.processes import Process, free_port, wait_until

pytestmark = pytest.mark.e2e

STARTED = "Application startup complete"
KEY, SECRET, LEASE = "site", "the secret of the cluster", "lease-of-24-characters-0"


def gateway(tmp_path: Path, port: int, *options: str, workers: int = 2) -> Process:
    """The command, with a store that its workers share."""
    store = f"sqlite:///{tmp_path}/site.db"
    arguments = ["gateway", "--port", str(port), "--workers", str(workers), "--store", store, *options]
    environment = {"HYDRA_KEY": KEY, "HYDRA_SECRET": SECRET}
    return Process([sys.executable, "-m", "hydra_asgi", *arguments], tmp_path / "log", env=environment)


def workers_of(parent: int) -> list[int]:
    """The processes that serve: children of the command, without the one that Python starts for its own use."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
            command = (entry / "cmdline").read_bytes() if status and int(status[1]) == parent else b""
        except OSError:
            continue
        if b"spawn_main" in command:
            found.append(int(entry.name))
    return sorted(found)


def is_ready(port: int) -> bool:
    return get(port, "/h/ready").status == 200


def wait_for_all(command: Process, workers: int = 2) -> None:
    """Wait until every worker serves; each of them imports everything anew, on a machine that is busy."""

    def all_serve() -> bool:
        command.check_alive()
        return command.output.count(STARTED) == workers

    wait_until(all_serve, lambda: f"{workers} workers serve\n{command.output}", 60)


def register(gateway_port: int, port: int) -> int:
    """Announce a service at a port of this machine; the status of the answer."""
    instance = ServiceInstance("orders", Address("http", "127.0.0.1", port), routes=(Route("/orders"),))
    body = registration_json(instance, LEASE)
    path = f"/h/discovery/{KEY}/registration"
    signature = sign(SECRET, method="POST", path=path, body=body, time=time.time(), nonce=f"{LEASE}.1")
    fields = {"content-type": "application/json", "hydra-instance": LEASE, "hydra-signature": signature}
    connection = http.client.HTTPConnection("127.0.0.1", gateway_port, timeout=10)
    try:
        connection.request("POST", path, body, fields)
        return connection.getresponse().status
    finally:
        connection.close()


def test_what_registers_with_one_worker_is_known_to_all(tmp_path: Path) -> None:
    """Whichever worker is asked, it forwards to a service that registered with one of them; SIGTERM ends all."""
    port, service_port = free_port(), free_port()
    (tmp_path / "orders").write_text("orders")
    service = [sys.executable, "-m", "http.server", str(service_port), "--bind", "127.0.0.1", "-d", str(tmp_path)]
    with Process(service, tmp_path / "service", port=service_port), gateway(tmp_path, port) as command:
        wait_for_all(command)
        wait_until(lambda: is_ready(port), lambda: command.output)
        assert register(port, service_port) == 200, command.output
        # A new connection each time, so that both workers are asked.
        wait_until(
            lambda: all(get(port, "/orders").body == "orders" for _ in range(40)),
            lambda: f"each worker forwards to the service\n{command.output}",
        )
        children = workers_of(command.pid)
        assert command.terminate(30) == 0, command.output
        assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """When the command is killed, nobody is left behind."""
    port = free_port()
    with gateway(tmp_path, port) as command:
        wait_for_all(command)
        children = workers_of(command.pid)
        assert len(children) == 2
        os.kill(command.pid, signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "all have ended")


def test_a_worker_that_cannot_start(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """A gateway whose workers never come to serve ends, and says so."""
    serving = Serving(
        host="127.0.0.1", port=free_port(), control=("127.0.0.1", free_port()), access_log=False, log_level="warning",
        grace=1.0, limit_concurrency=None, limit_body=None, limit_message=1_000,
    )  # fmt: skip
    before = signal.getsignal(signal.SIGTERM)
    assert serve_in_workers(1, Recipe("/nowhere/site.toml", None, None, None), serving) == 1
    assert signal.getsignal(signal.SIGTERM) is before
    assert "/nowhere/site.toml: cannot be read" in capfd.readouterr().err
    assert "ended with 2 before it served" in caplog.text


def test_the_parent(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts another worker in the place of one that has ended, hands SIGHUP on, and ends all on SIGTERM."""
    monkeypatch.setattr("hydra_asgi.cli.workers.AGAIN_SECONDS", 0.0)
    config = tmp_path / "site.toml"
    config.write_text(f'[gateway]\nstore = "sqlite:///{tmp_path}/site.db"\n')
    serving = Serving(
        host="127.0.0.1", port=free_port(), control=None, access_log=False, log_level="info",
        grace=1.0, limit_concurrency=None, limit_body=None, limit_message=1_000,
    )  # fmt: skip
    errors: list[BaseException] = []

    def act() -> None:
        try:
            wait_until(lambda: is_ready(serving.port), "it serves", 60)
            (first,) = workers_of(os.getpid())
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: workers_of(os.getpid()) not in ([], [first]) and is_ready(serving.port), "again", 60)
            os.kill(os.getpid(), signal.SIGHUP)
            wait_until(lambda: is_ready(serving.port), "still")
        except BaseException as error:
            errors.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=act)
    thread.start()
    assert serve_in_workers(1, Recipe(str(config), None, None, None), serving) == 0
    thread.join()
    assert not errors, errors
    assert "another one is started" in caplog.text
    assert not workers_of(os.getpid())


def test_a_stuck_worker_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that does not end in time is killed, so that the command always ends."""
    monkeypatch.setattr("hydra_asgi.cli.workers.KILL_SECONDS", 0.3)
    serving = Serving(
        host="127.0.0.1", port=free_port(), control=None, access_log=False, log_level="warning",
        grace=0.0, limit_concurrency=None, limit_body=None, limit_message=1_000,
    )  # fmt: skip

    def act() -> None:
        try:
            wait_until(lambda: is_ready(serving.port), "it serves", 60)
            (worker,) = workers_of(os.getpid())
            os.kill(worker, signal.SIGSTOP)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=act)
    thread.start()
    store = f"sqlite:///{tmp_path}/site.db"
    assert serve_in_workers(1, Recipe(None, store, None, None), serving) == 0
    thread.join()
    assert "did not end in time and is killed" in caplog.text


def test_reload(tmp_path: Path) -> None:
    """SIGHUP reaches every worker, and each reads the site file anew; Ctrl-C ends all of them."""
    config = tmp_path / "site.toml"
    config.write_text("")
    port = free_port()
    with gateway(tmp_path, port, "--config", str(config)) as command:
        wait_for_all(command)
        config.write_text('[[instances]]\nservice = "old"\nurl = "http://127.0.0.1:1"\nroutes = ["/old"]\n')
        command.signal(signal.SIGHUP)
        wait_until(lambda: command.error_output.count("is taken over: 1 instances") == 2, lambda: command.error_output)
        assert command.interrupt(30) == 0, command.output
