import json
import sys
from importlib.metadata import PackageNotFoundError

import pytest
from typer.testing import CliRunner, Result

from hydra_asgi.cli import commands

SAMPLE = "tests.cli.sample_apps"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(commands.application, arguments)


def test_routes() -> None:
    """Routes without conflicts are listed with exit code 0."""
    result = call("routes", "--app", f"{SAMPLE}:bare")
    assert result.exit_code == 0
    assert "/items/{n}" in result.stdout


def test_conflict_between_apps() -> None:
    """A conflict between two apps is named, with exit code 1."""
    result = call("routes", "--app", f"{SAMPLE}:shop", "--app", f"{SAMPLE}:make()")
    assert result.exit_code == 1
    assert f"conflict: GET /items/{{id}} is published by {SAMPLE}:shop and by {SAMPLE}:make()" in result.stdout


def test_conflict_in_one_app() -> None:
    """A conflict inside an app is named once, with exit code 1."""
    result = call("routes", "--app", f"{SAMPLE}:twice")
    assert result.exit_code == 1
    assert result.stdout.count("is there twice") == 1
    assert "conflict:" not in result.stdout


def test_json() -> None:
    """The JSON form is one object, with conflicts in it and in the exit code."""
    result = call("routes", "--json", "--app", f"{SAMPLE}:shop", "--app", f"{SAMPLE}:bare")
    assert result.exit_code == 1
    given = json.loads(result.stdout)
    assert [app["service"] for app in given["apps"]] == ["shop", ""]
    assert len(given["conflicts"]) == 1


def test_prefix() -> None:
    """A prefix moves every route."""
    result = call("routes", "--prefix", "/p", "--app", f"{SAMPLE}:bare", "--json")
    assert json.loads(result.stdout)["apps"][0]["routes"][0]["template"] == "/p/items/{n}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--app", "nowhere:app"], "hydra-asgi: there is no module 'nowhere'"),
        (["--app", f"{SAMPLE}:nope"], "has no 'nope'"),
        (["--app", f"{SAMPLE}:wrong"], "hydra-asgi: exclude= has 'admin'"),
        (["--app", f"{SAMPLE}:bare", "--prefix", "p"], "hydra-asgi: prefix= is 'p'"),
    ],
)
def test_wrong_calls(arguments: list[str], message: str) -> None:
    """A wrong call says what is wrong on stderr, with exit code 2."""
    result = call("routes", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_an_app_or_a_store_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without either there is nothing to list."""
    monkeypatch.delenv("HYDRA_STORE", raising=False)
    result = call("routes")
    assert result.exit_code == 2
    assert "no store is named" in result.stderr


def test_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is that of the installed package; a checkout has none."""
    monkeypatch.setattr(commands, "version", lambda name: "1.2.3")
    assert call("--version").stdout == "hydra-asgi 1.2.3\n"

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(commands, "version", missing)
    assert call("--version").stdout == "hydra-asgi unknown\n"


def test_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point reads the command line."""
    monkeypatch.setattr(sys, "argv", ["hydra-asgi", "routes", "--app", f"{SAMPLE}:bare", "--json"])
    with pytest.raises(SystemExit) as caught:
        commands.run()
    assert caught.value.code == 0
