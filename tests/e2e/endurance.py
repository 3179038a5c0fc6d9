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
from tests.e2e.processes import Process, free_port, server_command, wait_until
from tests.e2e.service_app import Open

__all__ = ["Gateway", "Gauge", "opened", "service", "sized", "tell"]

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
        peak: resident bytes at most since the process began.
        cpu: seconds of processor time so far.
        places: service -> requests that have a place, those that are forwarded now.
        waiting: service -> requests that wait for a place.
        connections: to instances: open, idle, in use.
        served: requests and WebSockets that are served, this one included.
        pid: of the process that said so; servers with workers have several.
    """

    tasks: int
    files: int
    memory: int
    peak: int
    cpu: float
    places: dict[str, int]
    waiting: dict[str, int]
    connections: list[int]
    served: int
    pid: int

    @property
    def is_idle(self) -> bool:
        """Whether nothing is forwarded, nobody waits, and no connection to an instance is in use."""
        open_, idle, in_use = self.connections
        nobody = not any(self.places.values()) and not any(self.waiting.values())
        return nobody and open_ == idle and not in_use and self.served == 1


class Gateway(Process):
    """A gateway in front of services.

    Args:
        folder: for its log.
        instances: service name and URL of each instance.
        server: as in `tests.gateway.servers.SERVERS`.
        env: more options, `HYDRA_*`.
    """

    def __init__(self, folder: Path, *instances: tuple[str, str], server: str = "uvicorn-auto", **env: str) -> None:
        self.serves = free_port()
        told = " ".join(f"{service}={url}" for service, url in instances)
        app = "tests.e2e.endurance_gateway:app"
        if server.startswith("uvicorn"):
            command = uvicorn(app, self.serves, "--http", server.partition("-")[2])
        else:
            command = server_command(server, app, self.serves)
        env = {"INSTANCES": told, "PORT": str(self.serves), **env}
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
        """Return when it holds what it held before: no place, no task more, and at most a few kept connections."""
        wait_until(
            lambda: (now := self.gauge).is_idle and now.tasks <= before.tasks and now.files <= before.files + files,
            lambda: f"{before} before, and now {self.gauge}\n{self.output}",
        )


def service(folder: Path, *options: str) -> tuple[Process, str]:
    """A service that knows nothing of us, and its URL."""
    port = free_port()
    command = uvicorn("tests.e2e.service_app:app", port, *options)
    behind = Process(command, folder / f"service-{port}.log", port=port, env={"PORT": str(port)})
    return behind, f"http://127.0.0.1:{port}"


def opened(port: int | None) -> Open:
    """What goes on in a process of `service_app` behind this port."""
    assert port is not None
    return Open(**json.loads(get(port, "/orders/open").body))


def uvicorn(app: str, port: int, *options: str) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port), *options]
    return [*command, "--log-level", "warning", "--no-proxy-headers", "--backlog", "8192"]
