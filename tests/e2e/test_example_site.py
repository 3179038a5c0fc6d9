"""`python -m examples`, as a user starts it, and what happens to it."""

import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.client import Answer, Browser, get
from tests.e2e.processes import Process, is_free, wait_until

pytestmark = pytest.mark.e2e

FALLBACK = "Checkout is taking a short break"
USERS = 5_000


def free_ports() -> int:
    """A port that is free together with its two successors, outside the range of which clients get their ports."""
    for _ in range(200):
        first = random.randrange(20_000, 32_000)
        if all(is_free(port) for port in range(first, first + 3)):
            return first
    raise AssertionError("no three free ports in a row")


class Site:
    """The running example site."""

    def __init__(self, tmp_path: Path) -> None:
        self.port = free_ports()
        self.output = tmp_path / "stdout"
        command = [sys.executable, "-m", "examples", "--port", str(self.port)]
        self.process = Process(command, self.output, errors=tmp_path / "stderr")

    def start(self) -> None:
        self.process.start()
        wait_until(self.is_ready, lambda: f"the ready line\n{self.text}\n{self.process.error_output}", 30)

    def is_ready(self) -> bool:
        self.process.check_alive()
        return "ready " in self.text

    @property
    def text(self) -> str:
        return self.output.read_text() if self.output.exists() else ""

    def pids(self, service: str) -> list[int]:
        return [int(row.split()[-1]) for row in self.text.splitlines() if row.startswith(f"{service} ")]

    def home(self) -> Answer:
        return get(self.port, "/")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    try:
        site.start()
        yield site
    finally:
        site.process.kill()


def test_output_and_composed_page(running: Site) -> None:
    """The table and the ready line are all of standard output; the page holds the other app's checkout."""
    lines = running.text.splitlines()
    assert lines[0].split() == ["service", "version", "address", "pid"]
    assert [line.split()[:2] for line in lines[1:4]] == [["shop", "1"], ["orderService", "1"], ["orderService", "2"]]
    assert lines[4:] == [f"ready http://127.0.0.1:{running.port}/"]
    page = running.home()
    assert page.status == 200
    assert re.search(r"version [12]", page.body)
    assert FALLBACK not in page.body
    assert "<m:fragment" not in page.body
    orders = get(running.port, "/orders")
    assert orders.status == 200
    assert re.search(r"version [12]", orders.body)


def test_users_are_split_and_keep_their_version(running: Site) -> None:
    """5,000 users without cookies split 90/10 within two points, and a user stays where they are."""
    versions: Counter[str] = Counter()
    with Browser(running.port) as visitors:
        for _ in range(USERS):
            versions[version_of(visitors.get("/orders"))] += 1
    assert versions["1"] + versions["2"] == USERS
    assert abs(versions["2"] / USERS - 0.10) <= 0.02
    for _ in range(50):
        with Browser(running.port, keeps_cookies=True) as user:
            seen = {version_of(user.get("/orders")) for _ in range(10)}
            # The fragment on the shop's page comes from the same version.
            seen.add(version_of(user.get("/")))
            assert len(seen) == 1


def version_of(answer: Answer) -> str:
    assert answer.status == 200
    found = re.search(r"version ([12])", answer.body)
    assert found is not None
    return found[1]


def test_services_killed_and_started_again(running: Site, tmp_path: Path) -> None:
    """Killed services cost the page its fragment and nothing else; one that comes back is there within 2 s."""
    for pid in running.pids("orderService"):
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 12
    statuses = set()
    while time.monotonic() < until:
        page = running.home()
        assert page.status == 200
        assert FALLBACK in page.body
        # Refused connections are noticed at once; nothing waits for the budget.
        assert page.seconds < 1.4  # the budget is 1.5
        orders = get(running.port, "/orders")
        statuses.add(orders.status)
        assert "orderService" in orders.body
        assert orders.header("retry-after") is not None
    assert statuses == {503}
    port = running.port + 2
    command = [sys.executable, "-m", "examples.quart_app", "--port", str(port), "--version", "2"]
    command += ["--gateway", f"http://127.0.0.1:{running.port}"]
    again = Process(command, tmp_path / "again", port=port)
    with again:
        wait_until(lambda: FALLBACK not in running.home().body, lambda: f"the content is back\n{again.output}")
        assert version_of(get(running.port, "/orders")) == "2"


@pytest.mark.parametrize("how", ["interrupt", "terminate"])
def test_one_signal_ends_all(running: Site, how: str) -> None:
    """Ctrl-C and SIGTERM end every process of the site, quietly and soon."""
    pids = [*running.pids("shop"), *running.pids("orderService")]
    assert len(pids) == 3
    began = time.monotonic()
    code = running.process.interrupt() if how == "interrupt" else running.process.terminate()
    assert time.monotonic() - began < 20
    assert code in (0, 130, 143, -signal.SIGINT, -signal.SIGTERM)
    assert "Traceback" not in running.process.error_output
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "all processes end", 5)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
