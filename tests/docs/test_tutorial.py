"""The tutorial's two apps, exactly as they stand there, served and joined."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "tutorial.md").read_text()
FALLBACK = "Checkout is taking a short break."
PATIENCE = 20.0


def free_ports() -> int:
    """A port whose two successors are free as well."""
    while True:
        with ExitStack() as held:
            first = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            try:
                for number in (first + 1, first + 2):
                    held.enter_context(socket.create_server(("127.0.0.1", number)))
            except OSError:
                continue
            return int(first)


@contextmanager
def serving(folder: Path, app: str, port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """An app of the tutorial under uvicorn, as the tutorial starts it."""
    command = [sys.executable, "-m", "uvicorn", f"{app}:app", "--port", str(port), "--log-level", "warning"]
    where = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    with subprocess.Popen(command, cwd=folder, env=where) as process:
        try:
            yield process
        finally:
            process.terminate()


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def wait_for(port: int, wanted: str, path: str = "/") -> str:
    """The page, as soon as it holds `wanted`."""
    until = time.monotonic() + PATIENCE
    page = ""
    while time.monotonic() < until:
        try:
            page = get(port, path)[1]
        except OSError:
            page = "nobody listens"
        if wanted in page:
            return page
        time.sleep(0.05)
    raise AssertionError(f"{wanted!r} did not appear, the page is:\n{page}")


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """The files of the tutorial, run in its order, show what it promises at each step."""
    port = free_ports()
    files = dict(re.findall(r'```python title="([a-z]+\.py)"\n(.*?)```', TEXT, re.DOTALL))
    assert sorted(files) == ["orders.py", "shop.py"]
    for name, code in files.items():
        (tmp_path / name).write_text(code.replace("8000", str(port)))
    with serving(tmp_path, "shop", port):
        page = wait_for(port, FALLBACK)
        assert '<a href="/">Shop</a>' in page
        assert "Orders" not in page
        with serving(tmp_path, "orders", port + 1) as orders:
            page = wait_for(port, "Pay (version 1)")
            assert FALLBACK not in page
            assert '<a href="/orders">Orders</a>' in page
            assert "<p>version 1</p>" in get(port, "/orders")[1]
            assert get(port, "/fragments/checkout")[0] in (404, 503)  # 503 while the gateway is only just up
            orders.terminate()
            orders.wait()
            page = wait_for(port, FALLBACK)
            assert "Orders" not in page
            assert get(port, "/orders")[0] == 503
        with serving(tmp_path, "orders", port + 2, VERSION="2"):
            wait_for(port, "Pay (version 2)")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_other_pieces_are_python(code: str) -> None:
    """The pieces that stand alone are at least Python."""
    compile(code, "docs/tutorial.md", "exec")
