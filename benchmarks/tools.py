"""Tools that a measurement needs but the project does not: where they are, or which command installs them by name."""

import importlib.util
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Protocol

__all__ = ["NODE_FOLDER", "Command", "Need", "NodeModule", "PythonPackage", "missing", "version_line"]

NODE_FOLDER = Path(tempfile.gettempdir()) / "hydra-benchmarks"
"""Where `install.sh` puts what comes from npm."""


class Need(Protocol):
    """One tool."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def install(self) -> str:
        """The command that installs it."""
        ...

    def version(self) -> str | None:
        """Which one is here; None when it is not installed."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """A program on the path.

    Attributes:
        name: the program.
        package: the Debian package that brings it.
        ask: the argument that makes it say its version.
    """

    name: str
    package: str
    ask: str = "-v"

    @property
    def install(self) -> str:
        return f"apt-get install {self.package}"

    @property
    def path(self) -> str:
        """Where it is.

        Raises:
            FileNotFoundError: it is not installed.
        """
        # Debian keeps servers in /usr/sbin, which is not on everybody's path.
        found = shutil.which(self.name) or shutil.which(self.name, path="/usr/sbin:/usr/local/sbin")
        if found is None:
            raise FileNotFoundError(f"{self.name} is not installed: {self.install}")
        return found

    def version(self) -> str | None:
        try:
            said = subprocess.run([self.path, self.ask], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - a program of our own list
        except FileNotFoundError:
            return None
        return version_line(said.stdout + said.stderr)


@dataclass(frozen=True, slots=True)
class PythonPackage:
    """A package for this Python."""

    name: str

    @property
    def install(self) -> str:
        return f"python -m pip install {self.name}"

    def version(self) -> str | None:
        if importlib.util.find_spec(self.name.replace("-", "_")) is None:
            return None
        try:
            return package_version(self.name)
        except PackageNotFoundError:
            return "of unknown version"


@dataclass(frozen=True, slots=True)
class NodeModule:
    """A package for Node.js, in `NODE_FOLDER`."""

    name: str

    @property
    def install(self) -> str:
        return f"npm install --prefix {NODE_FOLDER} {self.name}"

    def version(self) -> str | None:
        package = NODE_FOLDER / "node_modules" / self.name / "package.json"
        if not package.is_file():
            return None
        lines = (line.strip() for line in package.read_text().splitlines())
        return next((line.split('"')[3] for line in lines if line.startswith('"version"')), "of unknown version")


def version_line(output: str) -> str:
    """The first word with a digit and a dot in what a program said about its version."""
    words = output.replace("/", " ").split()
    return next((word.lstrip("v") for word in words if "." in word and word.lstrip("v")[:1].isdigit()), "unknown")


def missing(needs: tuple[Need, ...]) -> tuple[Need, ...]:
    """Those of the tools that are not installed."""
    return tuple(need for need in needs if need.version() is None)
