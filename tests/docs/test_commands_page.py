"""The page on commands is complete, and what it shows works."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from hydra_asgi.cli import commands
from tests.cli.live_site import LiveSite, instance

TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
SHOWN = [
    shlex.split(line, comments=True)[1:]
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]


def test_every_command_is_on_the_page() -> None:
    """Whatever `hydra-asgi` can do is in the table, and nothing else is."""
    known = typer.main.get_command(commands.application).commands
    assert set(re.findall(r"^\| \[`([a-z]+)`\]", TEXT, re.MULTILINE)) == set(known)


def test_every_option_of_the_weights_is_on_the_page() -> None:
    """A setting that nobody can find is none."""
    for name in ("--policy", "--when", "--prefix", "--shares", "--conditions", "--prefixes", "--store", "--json"):
        assert f"{name}" in TEXT


@pytest.mark.parametrize("arguments", [call for call in SHOWN if "--app" not in call], ids=" ".join)
def test_what_is_shown_works(arguments: list[str], tmp_path: Path) -> None:
    """Each call on the page does what it says, at a site like the one on the page."""
    site = LiveSite(f"sqlite:///{tmp_path}/site.db")
    site.add(
        instance("shop", 8001, 1, "/", "/{rest:path}"),
        instance("orderService", 8002, 1, "/orders", "/orders/{id:int}"),
        instance("orderService", 8003, 2, "/orders", "/orders/{id:int}", "/orders/new"),
    )
    ended = site.call(*arguments)
    assert ended.exit_code == 0, ended.output


def test_the_tables_are_those_of_the_commands(tmp_path: Path) -> None:
    """What the page prints is what is printed."""
    site = LiveSite(f"sqlite:///{tmp_path}/site.db")
    site.add(
        instance("shop", 8001, 1, "/", "/{rest:path}"),
        instance("orderService", 8002, 1, "/orders", "/orders/{id:int}"),
        instance("orderService", 8003, 2, "/orders", "/orders/{id:int}", "/orders/new"),
    )
    site.call("weights", "set", "orderService", "v1=90", "v2=10", "--when", "header:X-Tester=yes=v2")
    services = site.call("services").stdout
    explained = site.call("explain", "GET", "/orders/7", "--header", "X-Tester: yes").stdout
    said = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    assert [services.splitlines(), _tokens_out(explained)] == [said[0].splitlines(), _tokens_out(said[1])]


def _tokens_out(text: str) -> list[str]:
    return [re.sub(r"\b[12][0-9]{9}\b", "TOKEN", line) for line in text.splitlines()]
