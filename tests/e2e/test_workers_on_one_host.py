"""Several workers of one server share a file: what one of them is told, all of them know within a second."""

import sys
import time
from pathlib import Path

import pytest

from hydra_asgi.core.directory.lease_times import FORGOTTEN_SECONDS
from tests.e2e.client import get
from tests.e2e.processes import Process, free_port, server_command, wait_until

pytestmark = pytest.mark.e2e

WORKERS = 4
SPREAD_SECONDS = 3.0
"""The promise is one second; the rest is for a machine that has other things to do than to poll in time."""

GATEWAY = "tests.e2e.workers_app:app"
PYTHON = [sys.executable, "-m"]
WORKER_CLASS = "uvicorn_worker.UvicornWorker"


def gateway_command(server: str, port: int) -> list[str]:
    if server == "gunicorn":
        # Preloaded: the app is made once, and its workers are forks of that process.
        options = ["--workers", str(WORKERS), "--worker-class", WORKER_CLASS, "--preload", "--graceful-timeout", "3"]
        return [*PYTHON, "gunicorn", GATEWAY, "--bind", f"127.0.0.1:{port}", *options]
    return [*server_command(server, GATEWAY, port), "--workers", str(WORKERS)]


@pytest.mark.parametrize("server", ["uvicorn", "granian", "gunicorn"])
def test_workers_share_a_file(tmp_path: Path, server: str) -> None:
    """A service registers with whichever worker answers, and every worker forwards to it; when it leaves, none does."""
    port, inner = free_port(), free_port()
    store = f"sqlite:///{tmp_path}/site.db"
    gateway = Process(
        gateway_command(server, port), tmp_path / "gateway.log", port=port, env={"HYDRA_STORE": store, "GRACE": "1"}
    )
    member = Process(
        server_command("uvicorn", "tests.e2e.lifecycle_app:app", inner),
        tmp_path / "member.log",
        port=inner,
        env={"PORT": str(inner), "GATEWAY": f"http://127.0.0.1:{port}"},
    )
    with gateway:
        with member:
            answers = ask_until(port, lambda answers: len(workers(answers, 200)) == WORKERS, gateway)
            first = min(at for at, _, status in answers if status == 200)
            late = [at - first for at, _, status in answers if status != 200 and at > first]
            assert max(late, default=0.0) < SPREAD_SECONDS
            # Beats reach other workers than the registration did, and keep the service with all of them.
            steady = ask_for(port, FORGOTTEN_SECONDS + 2)
            assert {status for _, _, status in steady} == {200}
            member.terminate()
        gone = ask_until(port, lambda answers: len(workers(answers[-60:], 503)) == WORKERS, gateway)
        assert 200 not in {status for _, _, status in gone[-60:]}
        assert "Traceback" not in gateway.output
        gateway.terminate()


Answers = list[tuple[float, str, int]]


def ask(port: int) -> tuple[float, str, int]:
    """One request on a connection of its own: when, which worker answered, and what."""
    answer = get(port, "/orders")
    return time.monotonic(), answer.header("x-worker") or "", answer.status


def ask_for(port: int, seconds: float) -> Answers:
    end, answers = time.monotonic() + seconds, []
    while time.monotonic() < end:
        answers.append(ask(port))
        time.sleep(0.02)
    return answers


def ask_until(port: int, condition: object, gateway: Process) -> Answers:
    answers: Answers = []

    def more() -> bool:
        answers.extend(ask(port) for _ in range(20))
        return bool(condition(answers))  # type: ignore[operator]

    wait_until(more, lambda: f"{len(answers)} answers, last {answers[-60:]}\n{gateway.output}", 30)
    return answers


def workers(answers: Answers, status: int) -> set[str]:
    return {worker for _, worker, answered in answers if answered == status}
