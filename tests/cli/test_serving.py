"""The gateway under its server, in this process: a helper asks, and then sends the signal that ends it."""

import http.client
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hydra_asgi.cli.serving import Serving, serve
from hydra_asgi.hydra import Hydra
from tests.e2e.client import Answer, get
from tests.e2e.processes import free_port, is_free, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Signals and loggers of the test run are theirs again afterwards."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    names = ("", "hydra_asgi.access", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, list(logger.handlers), logger.propagate) for logger in loggers]
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for logger, level, kept, propagate in before:
        logger.setLevel(level)
        logger.handlers[:] = kept
        logger.propagate = propagate


def run(ask: Callable[[int, int], None], *, ends_by: int = signal.SIGTERM, inner: bool = True, **options: Any) -> None:
    """Serve a gateway without a key, let `ask` talk to it from a thread, and end it."""
    public, control = free_port(), free_port()
    errors: list[BaseException] = []
    how: dict[str, Any] = {
        "access_log": False, "log_level": "warning", "grace": 1.0,
        "limit_concurrency": None, "limit_body": None, "limit_message": 1_000, **options,
    }  # fmt: skip

    def talk() -> None:
        try:
            wait_until(lambda: not is_free(public) and (not inner or not is_free(control)), "it listens")
            ask(public, control)
        except BaseException as error:
            errors.append(error)
        finally:
            os.kill(os.getpid(), ends_by)

    thread = threading.Thread(target=talk)
    thread.start()
    at = ("127.0.0.1", control) if inner else None
    serve(Hydra(public_control=not inner), Serving(host="127.0.0.1", port=public, control=at, **how))
    thread.join()
    if errors:
        raise errors[0]
    assert is_free(public)
    assert is_free(control)


def test_two_listeners() -> None:
    """The public has pages, the inner listener the control plane; SIGTERM ends both in good order."""

    def ask(public: int, control: int) -> None:
        assert get(public, "/h/ready").status == 404
        assert get(public, "/").status == 404
        ready = get(control, "/h/ready")
        assert (ready.status, json.loads(ready.body)) == (200, {"status": "ok"})

    run(ask)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_listener(number: int) -> None:
    """Without an inner listener everything is on one; both signals end it without an error."""
    run(lambda public, control: _ready(public), ends_by=number, inner=False)


def test_limits() -> None:
    """A body beyond the limit is answered by 413; whom the server names in its answers is nobody's business."""

    def ask(public: int, control: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", public, timeout=5)
        connection.request("POST", "/", b"x" * 11)
        response = connection.getresponse()
        assert response.status == 413
        assert response.getheader("server") is None
        connection.close()

    run(ask, inner=False, limit_body=10)


def test_access_log(caplog: pytest.LogCaptureFixture) -> None:
    """Lines for requests are written only when they are asked for."""
    run(lambda public, control: _ready(public), inner=False, log_level="info", access_log=True)
    assert '"GET /h/ready HTTP/1.1" 200' in caplog.text
    caplog.clear()
    run(lambda public, control: _ready(public), inner=False, log_level="info")
    assert "GET /h/ready" not in caplog.text
    assert not logging.getLogger("hydra_asgi.access").isEnabledFor(logging.INFO)


def test_it_says_that_it_drains() -> None:
    """While the public listener waits for a connection, the inner one goes on to say that the node is draining."""
    seen: list[Answer] = []

    def ask(public: int, control: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", public, timeout=5)
        connection.putrequest("POST", "/")
        connection.putheader("content-length", "10")
        connection.endheaders()
        assert connection.getresponse().status == 404  # the body is still to come
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: seen.append(get(control, "/h/ready")) or seen[-1].status == 503, "it drains", 10)
        connection.close()

    run(ask)
    assert json.loads(seen[-1].body)["status"] == "draining"


def _ready(port: int) -> None:
    assert get(port, "/h/ready").status == 200
