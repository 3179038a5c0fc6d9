import re
import sys
from pathlib import Path

import pytest

from hydra_asgi.cli.loading import LoadError, load_app
from tests.cli import sample_apps


def test_app() -> None:
    """An app is found by module and attribute, nested ones too."""
    assert load_app("tests.cli.sample_apps:bare") is sample_apps.bare
    assert load_app("tests.cli.sample_apps:HydraMiddleware.__init__") is sample_apps.HydraMiddleware.__init__


def test_factory() -> None:
    """A function that makes the app is called when the name says so."""
    assert load_app("tests.cli.sample_apps:make()") is sample_apps.bare


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tests.cli.sample_apps", "is not 'module:attribute'"),
        (":app", "is not 'module:attribute'"),
        ("m:", "is not 'module:attribute'"),
        ("tests.cli.nowhere:app", "there is no module 'tests.cli.nowhere': run from"),
        ("nowhere.at.all:app", "that holds 'nowhere'"),
        ("tests.cli.broken_import:app", "failed: No module named 'not_installed_anywhere'; install what it needs"),
        ("tests.cli.broken_module:app", "failed: ValueError: boom"),
        ("tests.cli.sample_apps:nope", "has no 'nope', its names are FastAPI, GZipMiddleware, Hydra, HydraMiddleware"),
        ("tests.cli.sample_apps:text.nope", "has no 'nope'"),
        ("tests.cli.sample_apps:text", "is a str, expected an ASGI app"),
        ("tests.cli.sample_apps:fail()", "the call failed: ValueError: boom"),
        ("tests.cli:app", "its names are"),
    ],
)
def test_wrong_names(name: str, message: str) -> None:
    """What is wrong with a name is said with the name, the value and the way out."""
    with pytest.raises(LoadError, match=re.escape(message)):
        load_app(name)


def test_module_without_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty module has no names to offer; modules of the current directory are found."""
    (tmp_path / "empty_module_for_a_test.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(LoadError, match="its names are none"):
        load_app("empty_module_for_a_test:app")
