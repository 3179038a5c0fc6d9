"""Reads the compose file of a page, and makes of each of its services a process on loopback."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.processes import Process, free_port
from tests.faults.needs import need
from tests.faults.redis_server import redis_binary

__all__ = ["ComposeFile"]

PROGRAMS = {
    "hydra-asgi": [sys.executable, "-m", "hydra_asgi"],
    "uvicorn": [sys.executable, "-m", "uvicorn"],
}
PORTS = re.compile(r"(--port\s+)(\d+)")


class ComposeFile:
    """The services of a compose file, each on a free port of its own.

    Args:
        text: of the file.
        variables: what `${NAME}` stands for.
        folder: where the files of the page lie; logs go there, too.
        inner: ports of services whose command names none.
    """

    def __init__(self, text: str, variables: Mapping[str, str], folder: Path, *, inner: Mapping[str, int]) -> None:
        filled = re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], text)
        self.services: dict[str, dict[str, Any]] = yaml.safe_load(filled)["services"]
        self.networks = re.findall(r"subnet: ([0-9./]+)", filled)
        self.folder = folder
        self.inner = {**{name: self._port_of(name) for name in self.services if name not in inner}, **inner}
        self.ports = {name: free_port() for name in self.services}

    def _port_of(self, name: str) -> int:
        found = PORTS.search(" ".join(self.services[name]["command"]))
        assert found is not None, f"the command of {name} names no --port"
        return int(found[2])

    def on_loopback(self, text: str) -> str:
        """The text with every `service:port` in its place on this machine."""
        for name, port in self.ports.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}:{self.inner[name]}\b", f"127.0.0.1:{port}", text)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """Of one service, as it would be here; nothing of ours is left in it."""
        given = {key: self.on_loopback(str(value)) for key, value in self.services[name].get("environment", {}).items()}
        if given.get("HYDRA_TRUSTED") in self.networks:
            given["HYDRA_TRUSTED"] = "127.0.0.0/8"
        return given

    def process(self, name: str) -> Process:
        """One service, to be started."""
        program, *words = self.services[name]["command"]
        found = [redis_binary()] if program == "redis-server" else PROGRAMS.get(program) or [_on_path(program)]
        words = [self._word(name, words, at) for at in range(len(words))]
        if program == "uvicorn":
            words += ["--app-dir", str(self.folder)]
        if program == "redis-server":
            words += ["--dir", str(self.folder), "--bind", "127.0.0.1"]
        clean = {key: "" for key in os.environ if key.startswith("HYDRA_")}
        log = self.folder / f"{name}.log"
        return Process([*found, *words], log, port=self.ports[name], env={**clean, **self.environment(name)})

    def _word(self, name: str, words: list[str], at: int) -> str:
        if at and words[at - 1] == "--port":
            return str(self.ports[name])
        return self._here(words[at])

    def _here(self, word: str) -> str:
        """A path inside a container is one of the files of the page."""
        beside = self.folder / Path(word).name
        return "127.0.0.1" if word == "0.0.0.0" else str(beside) if word.startswith("/") and beside.exists() else word


def _on_path(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    return str(need(found, f"{program}: apt-get install {program}"))
