"""`hydra-asgi gateway`, up to where it serves."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hydra_asgi.cli import commands, serving, workers
from hydra_asgi.cli.recipe import Recipe
from hydra_asgi.cli.serving import Serving
from hydra_asgi.hydra import Hydra


def call(*arguments: str) -> Result:
    return CliRunner().invoke(commands.application, ["gateway", *arguments])


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Hydra, Serving]]:
    """What would be served."""
    calls: list[tuple[Hydra, Serving]] = []
    monkeypatch.setattr(serving, "serve", lambda *given: calls.append(given))
    return calls


def test_defaults(served: list[Any]) -> None:
    """Without options it is a gateway on this machine, with the control plane where everybody expects it."""
    assert call().exit_code == 0
    [(hydra, how)] = served
    assert hydra.options.gateway
    assert hydra.options.public_control
    assert (how.host, how.port, how.control, how.grace) == ("127.0.0.1", 8000, None, 10.0)
    assert (how.access_log, how.log_level, how.limit_concurrency, how.limit_body) == (False, "info", None, None)
    assert how.limit_message == 16 * 2**20


def test_options(served: list[Any], tmp_path: Path) -> None:
    """Every option arrives where it counts."""
    config = tmp_path / "site.toml"
    config.write_text('[gateway]\nkey = "site"\ngrace = 3\n')
    ended = call(
        *["--host", "0.0.0.0", "--port", "80", "--config", str(config), "--control", "[::1]:8001", "--access-log"],
        *["--log-level", "debug", "--limit-concurrency", "5", "--limit-body", "6", "--limit-message", "7"],
    )
    assert ended.exit_code == 0
    [(hydra, how)] = served
    assert hydra.options.key == "site"
    assert not hydra.options.public_control
    assert (how.host, how.port, how.control, how.grace) == ("0.0.0.0", 80, ("::1", 8001), 3.0)
    assert (how.access_log, how.log_level) == (True, "debug")
    assert (how.limit_concurrency, how.limit_body, how.limit_message) == (5, 6, 7)


def test_the_store(served: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The store is named on the command line, else by the environment."""
    monkeypatch.setenv("HYDRA_STORE", f"sqlite:///{tmp_path}/environment.db")
    assert call().exit_code == call("--store", f"sqlite:///{tmp_path}/argument.db").exit_code == 0
    stores = [hydra.options.store for hydra, _ in served]
    assert stores == [f"sqlite:///{tmp_path}/{name}.db" for name in ("environment", "argument")]


def test_switched_off(served: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass-through without an app would answer 404 to everything, and nobody would know why."""
    monkeypatch.setenv("HYDRA_ENABLED", "0")
    ended = call()
    assert ended.exit_code == 2
    assert ended.stderr.startswith("enabled= (HYDRA_ENABLED) is 0")
    assert not served


def test_workers(served: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Several workers are served by processes that share a store; what they end with is the exit code."""
    calls: list[tuple[int, Recipe, Serving]] = []
    monkeypatch.setattr(workers, "serve_in_workers", lambda *given: calls.append(given) or 1)
    store = f"sqlite:///{tmp_path}/site.db"
    ended = call("--workers", "3", "--store", store, "--control", "127.0.0.1:1", "--timeout-graceful", "2")
    assert ended.exit_code == 1
    assert not served
    [(count, recipe, how)] = calls
    assert (count, recipe) == (3, Recipe(None, store, False, 2.0))
    assert how.control == ("127.0.0.1", 1)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_cannot_be_had(workers: str, tmp_path: Path) -> None:
    """It is found out before anything is started, and told in one line."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = call("--workers", workers, "--store", f"sqlite:///{tmp_path}/site.db", "--port", str(port))
    assert ended.exit_code == 2
    assert ended.stderr == f"the port {port} of 127.0.0.1 is in use; take another with --port\n"


def test_grace_by_argument(served: list[Any]) -> None:
    """The command line wins."""
    assert call("--timeout-graceful", "1.5").exit_code == 0
    [(hydra, how)] = served
    assert hydra.options.grace == how.grace == 1.5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--control", "8001"], "--control is '8001': expected HOST:PORT, such as 127.0.0.1:8001"),
        (["--control", "h:99999"], "--control is 'h:99999'"),
        (["--config", "/nowhere/site.toml"], "/nowhere/site.toml: cannot be read: No such file or directory"),
        (["--workers", "2"], "--workers is 2, but the store is memory://"),
        (["--workers", "2"], "--store sqlite:///path/site.db"),
        (["--workers", "2"], "--store redis://host:6379/0"),
        (["--store", "mysql://h"], "store= begins with 'mysql'"),
    ],
)
def test_what_it_refuses(served: list[Any], arguments: list[str], told: str) -> None:
    """A wrong call says what is wrong and what to write instead, and nothing starts."""
    ended = call(*arguments)
    assert ended.exit_code == 2
    assert told in ended.stderr
    assert not served


def test_mistakes_in_the_file(served: list[Any], tmp_path: Path) -> None:
    """Every mistake in the file is a line of its own, which begins with the place."""
    config = tmp_path / "site.toml"
    config.write_text('[gateway]\nkay = 1\n[[instances]]\nurl = "x"\n')
    ended = call("--config", str(config))
    assert ended.exit_code == 2
    lines = ended.stderr.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        [f"{config}:2", "kay"],
        [f"{config}:3", "instances[1].service"],
        [f"{config}:4", "instances[1].url"],
    ]
    assert not served


def test_without_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra it says how to get it; another missing module is a fault of the installation."""
    monkeypatch.delitem(sys.modules, "hydra_asgi.cli.serving")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ended = call()
    assert ended.exit_code == 2
    assert ended.stderr == "hydra-asgi: uvicorn is not installed, run: pip install 'hydra-asgi[cli]'\n"
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "hydra_asgi.cli.serving")
    monkeypatch.setitem(sys.modules, "hydra_asgi.gateway.body_limit", None)
    assert isinstance(call().exception, ModuleNotFoundError)
