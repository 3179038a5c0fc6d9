"""The site of two apps under each supported server, in both roles, with lifespan on and off."""

from pathlib import Path

import pytest

from tests.e2e.client import get, raw_chunks
from tests.e2e.processes import SERVERS, Process, all_of, free_port, server_command, wait_until

pytestmark = pytest.mark.e2e

APP = "tests.e2e.apps:app"
CHECKOUT = "version 1"


def member(
    tmp_path: Path, app: str, port: int, server: str, *, gateway: int | None, lifespan: bool = True, **env: str
) -> Process:
    env = {"APP": app, **env}
    if gateway is not None:
        env |= {"GATEWAY": f"http://127.0.0.1:{gateway}", "ADDRESS": f"http://127.0.0.1:{port}"}
    command = server_command(server, APP, port, lifespan=lifespan)
    return Process(command, tmp_path / f"{app}.log", port=port, env=env)


def is_whole(port: int, path: str = "/") -> bool:
    answer = get(port, path)
    return answer.status == 200 and CHECKOUT in answer.body


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("gateway", "service"), [("shop", "orders"), ("orders", "shop")])
def test_either_framework_is_the_gateway(tmp_path: Path, server: str, gateway: str, service: str) -> None:
    """FastAPI and Quart take either role under every server: composed page, forwarded page, files, departure."""
    front, back = free_port(), free_port()
    first = member(tmp_path, gateway, front, server, gateway=None)
    second = member(tmp_path, service, back, server, gateway=front)
    with all_of(first, second):
        wait_until(lambda: is_whole(front), lambda: f"the composed page\n{first.output}\n{second.output}")
        page = get(front, "/")
        assert "Checkout is taking a short break" not in page.body
        assert "<m:fragment" not in page.body
        # None of the template; a server that gets a whole page in one piece may measure that.
        assert page.header("content-length") in (None, str(len(page.body.encode())))
        assert page.header("cache-control") == "no-store"
        orders = get(front, "/orders")
        assert orders.status == 200
        assert "version 1" in orders.body
        for path in ("/shop/static/shop.css", "/orderService/static/orders.css"):
            assert get(front, path).header("content-type") == "text/css; charset=utf-8"
        # A goodbye takes the routes along at once, and what is left still answers.
        second.terminate()
        gone = "/orders" if service == "orders" else "/"
        wait_until(lambda: get(front, gone).status == 503, "the routes leave with their service")
        left = get(front, gone)
        assert left.header("retry-after") is not None
        assert (left.header("proxy-status") or "").startswith("hydra; error=")


@pytest.mark.parametrize("server", SERVERS)
def test_bytes_before_a_tag_leave_at_once(tmp_path: Path, server: str) -> None:
    """While a fragment takes 500 ms, what stands before its tag is already with the client."""
    front, back = free_port(), free_port()
    first = member(tmp_path, "shop", front, server, gateway=None)
    second = member(tmp_path, "orders", back, server, gateway=front, SLEEP_MS="500")
    with all_of(first, second):
        wait_until(lambda: is_whole(front), lambda: f"the composed page\n{first.output}\n{second.output}")
        pieces = raw_chunks(front, "/")
        early = b"".join(piece for at, piece in pieces if at < 0.4)
        late = b"".join(piece for at, piece in pieces if at >= 0.4)
        assert b"<h1" in early
        assert CHECKOUT.encode() not in early
        assert CHECKOUT.encode() in late
        assert pieces[-1][0] >= 0.5


@pytest.mark.parametrize("server", [server for server in SERVERS if server != "hypercorn"])  # it always runs lifespan
def test_without_lifespan(tmp_path: Path, server: str) -> None:
    """Where the server runs no lifespan, the first request starts the node."""
    front, back = free_port(), free_port()
    first = member(tmp_path, "shop", front, server, gateway=None, lifespan=False)
    second = member(tmp_path, "orders", back, server, gateway=front, lifespan=False)
    with all_of(first, second):
        assert get(back, "/orders").status == 200
        wait_until(lambda: is_whole(front), lambda: f"the composed page\n{first.output}\n{second.output}")


def test_several_workers_are_one_instance(tmp_path: Path) -> None:
    """Workers behind one address hold a lease each; the instance lives while one of them does."""
    front, back = free_port(), free_port()
    first = member(tmp_path, "shop", front, "uvicorn", gateway=None)
    second = member(tmp_path, "orders", back, "uvicorn", gateway=front)
    second.command += ["--workers", "2"]
    with all_of(first, second):
        wait_until(lambda: is_whole(front), lambda: f"the composed page\n{first.output}\n{second.output}")
        assert get(front, "/orders").status == 200
