"""Finding out what is installed."""

from pathlib import Path

import pytest

from benchmarks import tools
from benchmarks.tools import Command, NodeModule, PythonPackage, missing, version_line


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("nginx version: nginx/1.22.1\n", "1.22.1"),
        ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n", "2.6.12-1+deb12u4"),
        ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer\n", "4.1.0-3+b2"),
        ("v20.20.2\n", "20.20.2"),
        ("usage: tool\n", "unknown"),
    ],
)
def test_version(said: str, version: str) -> None:
    """The version is found in what programs say about themselves."""
    assert version_line(said) == version


def test_what_is_missing_says_how_to_install_it() -> None:
    """A tool that is not there is named with the command that installs it by name."""
    needs = (PythonPackage("pytest"), PythonPackage("no-such-package"), Command("no-such-program", "some-package"))
    assert [need.install for need in missing(needs)] == [
        "python -m pip install no-such-package",
        "apt-get install some-package",
    ]


def test_node_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package for Node.js is looked for where the script installs it, and nowhere else."""
    monkeypatch.setattr(tools, "NODE_FOLDER", tmp_path)
    module = NodeModule("http-proxy")
    assert module.version() is None
    folder = tmp_path / "node_modules" / "http-proxy"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{\n  "name": "http-proxy",\n  "version": "1.18.1"\n}\n')
    assert module.version() == "1.18.1"
