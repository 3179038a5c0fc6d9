"""What the tests of endurance share: how much they do, a gateway that can be looked into, and its services.

Each test does a part of the whole on every run. With `ENDURANCE=full` in the environment it does all of it.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.e2e.client import get
from tests.e2e.processes import Process, free_port, wait_until

__all__ = ["Gateway", "Gauge", "service", "sized", "tell"]

T = TypeVar("T")


def sized(part: T, whole: T) -> T:
    """How much a test does: `part` of it, or the `whole` where that is asked for."""
    return whole if os.environ.get("ENDURANCE") == "full" else part


def tell(measured: str) -> None:
    """Say what was measured; pytest shows it with `-rP`, and when the test fails."""
    print(measured)  # noqa: T201 -- that is how pytest gets it


@dataclass(frozen=True, slots=True)
class Gauge:
    """What the gateway's process holds.

    Attributes:
        tasks: of its event loop.
        files: that are open, sockets among them.
        memory: resident bytes now.
        peak: resident bytes at most so far.
    """

    tasks: int
    files: int
    memory: int
    peak: int


class Gateway(Process):
    """A gateway in front of services.

    Args:
        folder: for its log.
        instances: service name and URL of each instance.
    """

    def __init__(self, folder: Path, *instances: tuple[str, str]) -> None:
        self.serves = free_port()
        told = " ".join(f"{service}={url}" for service, url in instances)
        command = uvicorn("tests.e2e.endurance_gateway:app", self.serves)
        env = {"INSTANCES": told, "PORT": str(self.serves)}
        super().__init__(command, folder / f"gateway-{self.serves}.log", port=self.serves, env=env)

    @property
    def gauge(self) -> Gauge:
        """What it holds now."""
        return Gauge(**json.loads(get(self.serves, "/gauge").body))

    def wait_for(self, *services: str) -> None:
        """Return when it serves pages of all of them."""
        for name in services:
            wait_until(lambda path=f"/{name}/page": get(self.serves, path).status == 200, lambda: self.output)

    def calm(self, before: Gauge, *, files: int = 2) -> None:
        """Return when it holds what it held before: no task more, and at most a few kept connections."""
        wait_until(
            lambda: (now := self.gauge).tasks <= before.tasks and now.files <= before.files + files,
            lambda: f"{before} before, and now {self.gauge}\n{self.output}",
        )


def service(folder: Path, *options: str) -> tuple[Process, str]:
    """A service that knows nothing of us, and its URL."""
    port = free_port()
    command = uvicorn("tests.e2e.endurance_service:app", port, *options)
    return Process(command, folder / f"service-{port}.log", port=port), f"http://127.0.0.1:{port}"


def uvicorn(app: str, port: int, *options: str) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port), *options]
    return [*command, "--log-level", "warning", "--no-proxy-headers", "--backlog", "8192"]
