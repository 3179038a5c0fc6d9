"""What commands write."""

import io
import json
import sys

import pytest
import typer

from hydra_asgi.cli.output import fail, print_json, print_table, tell


def test_a_row_is_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """However long it is, nothing is folded, cut, coloured or padded, and brackets are no markup."""
    long = "/x" * 2000
    print_table(("template", "why"), [(long, "[bold]no[/bold]"), ("/y", "")], dim=[1])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["template", "why"],
        [long, "[bold]no[/bold]"],
        ["/y"],
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours_and_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long cells are folded there and nothing is lost; what is of less interest is dim."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_table(("a",), [("x" * 50,), ("y",)], dim=[1])
    assert terminal.getvalue().count("x") == 50
    assert "\x1b[2my" in terminal.getvalue()
    assert max(map(len, terminal.getvalue().splitlines())) < 50


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs read it as it is."""
    print_json({"a": ["é"]})
    assert json.loads(capsys.readouterr().out) == {"a": ["é"]}


def test_trouble_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, under the command's name."""
    tell("so it is")
    with pytest.raises(typer.Exit) as ended:
        fail(7, "no")
    assert ended.value.exit_code == 7
    assert capsys.readouterr() == ("", "hydra-asgi: so it is\nhydra-asgi: no\n")
