"""`hydra-asgi drain`."""

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hydra_asgi.cli import commands, drain
from hydra_asgi.core.admission.signature import Judgement, verify
from tests.e2e.processes import free_port

SECRET = "a secret that is long"

Reply = tuple[int, bytes, dict[str, str]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "PAUSE_SECONDS", 0.0)


@contextlib.contextmanager
def node(*replies: Reply) -> Iterator[tuple[str, list[Any]]]:
    """A node that answers with these, the last one again and again; the URL, and the calls it got."""
    left, calls = list(replies), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            calls.append((self.path, dict(self.headers), body))
            status, text, headers = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/base", calls
        finally:
            server.shutdown()
            thread.join()


def busy(ongoing: int) -> Reply:
    return 200, json.dumps({"status": "draining", "ongoing": ongoing}).encode(), {}


def call(url: str, *arguments: str) -> Result:
    given: Sequence[str] = ["drain", "--url", url, "--key", "site", "--secret", SECRET, "--settle", "0", *arguments]
    return CliRunner().invoke(commands.application, given)


def test_draining() -> None:
    """The call is signed, goes to the node below its base path, and is repeated until nothing is served any more."""
    with node(busy(2), busy(2), busy(1), busy(0)) as (url, calls):
        ended = call(url)
    assert (ended.exit_code, ended.stdout) == (0, "drained; no requests are still served\n")
    assert len(calls) == 4
    for path, headers, body in calls:
        assert path == "/base/h/node/site/drain"
        verdict = verify(
            SECRET,
            headers["hydra-signature"],
            method="POST",
            path=path,
            body=body,
            now=float(headers["hydra-signature"].partition("t=")[2].partition(";")[0]),
        )
        assert verdict.judgement is Judgement.GOOD


def test_it_waits_no_longer_than_it_may() -> None:
    """What is still served after the wait is named."""
    with node(busy(3)) as (url, calls):
        ended = call(url, "--wait", "0")
    assert (ended.exit_code, ended.stdout) == (0, "drained; 3 requests are still served\n")
    assert len(calls) == 2


def test_a_clock_that_is_off() -> None:
    """A node with another time is called again with that."""
    refusal = (401, b'{"reason": "stale"}', {"hydra-time": "1000"})
    with node(refusal, busy(0)) as (url, calls):
        assert call(url).exit_code == 0
    assert ";t=" in f";{calls[1][1]['hydra-signature']}"
    assert "t=1000;" in calls[1][1]["hydra-signature"]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ((401, b'{"reason": "not with our secret"}', {}), "answered 401: not with our secret"),
        ((404, b"", {}), "knows no such key, or is no node of this version"),
        ((200, b"hello", {}), "answered 200: the answer is none of a node"),
        ((502, b"[]", {}), "answered 502: the answer is none of a node"),
    ],
)
def test_what_is_no_yes(reply: Reply, told: str) -> None:
    """Another answer is an error that says what it was."""
    with node(reply) as (url, _):
        ended = call(url)
    assert ended.exit_code == 2
    assert told in ended.stderr


def test_nobody_there() -> None:
    """A node that cannot be reached is another kind of failure: perhaps it is gone already."""
    ended = call(f"http://127.0.0.1:{free_port()}")
    assert ended.exit_code == 1
    assert "cannot be reached" in ended.stderr


def test_a_wrong_url() -> None:
    """The URL is checked."""
    ended = call("localhost")
    assert ended.exit_code == 2
    assert "--url is 'localhost': expected a URL" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "a node drains for who knows its site: give --key or HYDRA_KEY; or name an instance, to drain it through"),
        (["--key", "site"], "give --secret or HYDRA_SECRET; or name an instance"),
    ],
)
def test_what_a_node_asks_for(arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and secret are needed at a node, and the other way is named."""
    for name in ("HYDRA_KEY", "HYDRA_SECRET"):
        monkeypatch.delenv(name, raising=False)
    ended = CliRunner().invoke(commands.application, ["drain", *arguments])
    assert ended.exit_code == 2
    assert told in ended.stderr
