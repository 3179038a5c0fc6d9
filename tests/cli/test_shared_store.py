"""The store that a command looks into."""

import asyncio
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from hydra_asgi.cli import commands, shared_store
from hydra_asgi.cli.shared_store import OvertakenError, ask
from hydra_asgi.errors import RefusedError
from hydra_asgi.ports import Store
from tests.e2e.processes import free_port


def call(*arguments: str, store: str | None = None) -> Result:
    return CliRunner().invoke(commands.application, arguments, env={"HYDRA_STORE": store})


COMMANDS = [
    ["services"],
    ["instances"],
    ["routes"],
    ["drain", "1234567890"],
    ["undrain", "1234567890"],
    ["weights", "get"],
    ["weights", "set", "orders", "v1=1"],
    ["weights", "clear", "orders"],
    ["explain", "GET", "/"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_memory_is_not_looked_into_from_outside(command: list[str]) -> None:
    """memory:// is refused with both ways out, in one line."""
    ended = call(*command, store="memory://")
    assert ended.exit_code == 2
    assert ended.stderr.startswith("hydra-asgi: --store is 'memory://', which ends at the process that has it")
    assert "sqlite:///path/site.db for the processes of one host, or redis://host:6379/0 for a fleet" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_store_has_to_be_named(command: list[str]) -> None:
    """Without a store it says where one is named and how it looks."""
    ended = call(*command)
    assert ended.exit_code == 2
    assert ended.stderr.startswith("hydra-asgi: no store is named: give --store or set HYDRA_STORE, to sqlite:///path")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_store_that_is_away_is_one_line_and_an_exit_code_of_its_own(command: list[str], tmp_path: Path) -> None:
    """A file that is none of ours, a server that is not there: 3, without a trace."""
    (tmp_path / "site.db").write_bytes(b"this is no database at all" * 100)
    for url in (f"sqlite:///{tmp_path}/site.db", f"redis://127.0.0.1:{free_port()}/0"):
        ended = call(*command, "--store", url)
        assert ended.exit_code == 3, ended.stderr
        assert ended.stderr.startswith("hydra-asgi: ")
        assert ended.stderr.count("\n") == 1
        assert ended.stdout == ""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_mistyped_file_is_not_made(command: list[str], tmp_path: Path) -> None:
    """A command only looks for the site that is there; a file that is not there is named with the way out."""
    ended = call(*command, "--store", f"sqlite:///{tmp_path}/sight.db")
    assert ended.exit_code == 2
    assert ended.stderr == (
        f"hydra-asgi: there is no site file {tmp_path}/sight.db: name the one that the nodes use (--store or "
        "HYDRA_STORE); a node makes it when it starts\n"
    )
    assert not list(tmp_path.iterdir())
    ended = call(*command, "--store", f"sqlite:///{tmp_path}/nowhere/site.db")
    assert ended.exit_code == 2
    assert "the folder of the store's file does not exist" in ended.stderr


def test_the_option_wins_over_the_environment(tmp_path: Path) -> None:
    """As everywhere."""
    (tmp_path / "site.db").touch()
    ended = call("services", "--store", f"sqlite:///{tmp_path}/site.db", store="memory://")
    assert ended.exit_code == 0


@pytest.mark.parametrize("url", ["mysql://user:hush@db/1", "/var/lib/site.db", ""])
def test_a_wrong_url_is_refused_without_showing_a_password(url: str) -> None:
    """What is expected is said; of what was given only the scheme."""
    ended = call("services", "--store", url)
    assert ended.exit_code == 2
    assert "--store begins with" in ended.stderr
    assert "hush" not in ended.stderr


def test_a_store_that_hangs_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits for ever; the store is closed all the same."""
    monkeypatch.setattr(shared_store, "PATIENCE", 0.05)

    async def hang(store: Store) -> None:
        await asyncio.Event().wait()

    with pytest.raises(typer.Exit) as ended:
        ask(f"sqlite:///{tmp_path}/site.db", hang)
    assert ended.value.exit_code == 3
    assert capsys.readouterr().err == "hydra-asgi: the store did not answer within 0.05 s\n"


def test_who_was_overtaken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no mistake of the call, and no trouble of the store."""

    async def overtake(store: Store) -> None:
        raise OvertakenError("somebody was quicker")

    with pytest.raises(typer.Exit) as ended:
        ask(f"sqlite:///{tmp_path}/site.db", overtake)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "hydra-asgi: somebody was quicker\n"


def test_what_the_store_refuses_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal is no absence."""

    async def refuse(store: Store) -> None:
        raise RefusedError(403, "not you")

    with pytest.raises(typer.Exit) as ended:
        ask(f"sqlite:///{tmp_path}/site.db", refuse)
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "hydra-asgi: not you\n"
