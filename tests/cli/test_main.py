import os
import subprocess
import sys

import pytest

from hydra_asgi import cli

HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Hidden())
from hydra_asgi.cli import main
main()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    return subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize("name", ["typer", "rich"])
def test_without_the_extra(name: str) -> None:
    """Without the extra the command says in one line how to get it, with exit code 2."""
    result = run(HIDE.format(name=name))
    assert result.returncode == 2
    assert result.stderr == f"hydra-asgi: {name} is not installed, run: pip install 'hydra-asgi[cli]'\n"


def test_light_import() -> None:
    """Importing the entry point loads no library."""
    result = run("import hydra_asgi.cli, sys; sys.exit(bool({'typer', 'rich', 'click'} & set(sys.modules)))")
    assert result.returncode == 0


def test_missing_in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The remedy names the missing library."""
    monkeypatch.delitem(sys.modules, "hydra_asgi.cli.commands", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert "pip install 'hydra-asgi[cli]'" in capsys.readouterr().err


def test_other_missing_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another missing module is a fault of the installation and is shown as such."""
    monkeypatch.delitem(sys.modules, "hydra_asgi.cli.commands", raising=False)
    monkeypatch.delitem(sys.modules, "hydra_asgi.cli.survey", raising=False)
    monkeypatch.setitem(sys.modules, "hydra_asgi.cli.survey", None)
    with pytest.raises(ModuleNotFoundError, match="survey"):
        cli.main()


def test_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the extra the command runs."""
    monkeypatch.setattr(sys, "argv", ["hydra-asgi", "--version"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("hydra-asgi ")
