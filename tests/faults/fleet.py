"""The processes of a scenario: gateways and services of one site, under uvicorn, on one store.

with Fleet(tmp_path, redis.url) as fleet:
    first, second = fleet.hub(gateways=2)              # services register with gateways
    fleet.start(fleet.service("orders"), fleet.service("orders"))
    fleet.wait_for("orders")                           # every gateway serves it
"""

import contextlib
import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from tests.e2e.processes import Process, free_port, wait_until
from tests.faults.needs import dies_with_us
from tests.faults.netns import Namespace

__all__ = ["KEY", "SECRET", "Fleet", "Health", "Known", "Member"]

KEY = "site"
SECRET = "the secret of this site"

HERE = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Health:
    """What `/h/ready` says."""

    code: int
    status: str
    why: str
    since: float | None


@dataclass(frozen=True, slots=True)
class Known:
    """How many instances a process knew, and since when on the system's monotonic clock."""

    at: float
    instances: int
    active: int
    revision: str
    status: str


class Member(Process):
    """One process of the site.

    Args:
        folder: for its log and its events.
        env: its options, `HYDRA_*`.
        host: where it listens.
        island: the namespace it runs in; None for ours.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], host: str = HERE, island: Namespace | None = None) -> None:
        port = free_port()
        self.host = host if island is None else island.address
        self.serves = int(port)
        self.name = env.get("HYDRA_SERVICE") or "gateway"
        self._events = folder / f"{self.name}-{port}.events"
        command = [
            *(sys.executable, "-m", "uvicorn", "tests.faults.site_app:app"),
            *("--host", self.host, "--port", str(port), "--no-proxy-headers", "--log-level", "warning"),
        ]
        told = {"PORT": str(port), "EVENTS": str(self._events), **env}
        super().__init__(
            dies_with_us(command if island is None else island.command(command)),
            folder / f"{self.name}-{port}.log",
            env={name: value.replace("{port}", str(port)) for name, value in told.items()},
        )

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{self.host}:{self.serves}"

    @property
    def health(self) -> Health:
        """What it says of itself now."""
        code, body = self.get("/h/ready")
        said = json.loads(body)
        return Health(code, said["status"], said.get("why", ""), said.get("since"))

    @property
    def known(self) -> list[Known]:
        """Every change of its directory so far."""
        if not self._events.exists():
            return []
        lines = [line.split() for line in self._events.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [
            Known(float(at), int(all_), int(active), revision, status) for at, all_, active, revision, status in lines
        ]

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path: str, seconds: float = 5.0, **headers: str) -> tuple[int, str]:
        """One request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection(self.host, self.serves, timeout=seconds)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def serves_page_of(self, service: str) -> bool:
        """Whether a page of the service is answered here."""
        with contextlib.suppress(http.client.HTTPException):
            return self.get(f"/{service}/page/1")[0] == 200
        return False

    def answers(self) -> bool:
        """Whether it listens, or fails when the process has ended."""
        self.check_alive()
        with contextlib.suppress(http.client.HTTPException):
            return self.get("/h/live")[0] == 200
        return False


class Fleet:
    """All processes of a site; they are ended with the context, in any case.

    Args:
        folder: for logs.
        store: the URL of the store that gateways open.
        env: more options for all of them.

    Attributes:
        gateways: those that have been made, in order.
        members: all processes that were started.
    """

    def __init__(self, folder: Path, store: str, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.store = store
        self.gateways: list[Member] = []
        self.members: list[Member] = []
        self._env = {"HYDRA_KEY": KEY, "HYDRA_SECRET": SECRET, "HYDRA_GRACE": "2", **(env or {})}
        self._stack = contextlib.ExitStack()

    def gateway(self, *, store: str = "", host: str = HERE, island: Namespace | None = None, **env: str) -> Member:
        """A gateway without pages of its own; to be started."""
        options = {"HYDRA_GATEWAY": "1", "HYDRA_STORE": store or self.store, **env}
        gateway = Member(self.folder, {**self._env, **options}, host, island)
        self.gateways.append(gateway)
        return gateway

    def service(
        self, name: str, *, version: int = 1, at: Sequence[Member] = (), host: str = HERE, **env: str
    ) -> Member:
        """A service that registers with gateways; to be started.

        Args:
            name: of the service.
            version: of it.
            at: the gateways, in the order in which they are tried; all of them unless given.
            host: where it listens, and is reached.
            env: more options.
        """
        options = {
            "HYDRA_SERVICE": name,
            "HYDRA_VERSION": str(version),
            "HYDRA_ADDRESS": f"http://{host}:{{port}}",
            "HYDRA_GATEWAYS": ",".join(gateway.url for gateway in at or self.gateways),
        }
        return Member(self.folder, {**self._env, **options, **env}, host)

    def node(self, name: str, *, version: int = 1, store: str = "", **env: str) -> Member:
        """A node of a mesh: a service that opens the store itself and is a gateway at once; to be started."""
        options = {
            "HYDRA_SERVICE": name,
            "HYDRA_VERSION": str(version),
            "HYDRA_ADDRESS": f"http://{HERE}:{{port}}",
            "HYDRA_STORE": store or self.store,
        }
        node = Member(self.folder, {**self._env, **options, **env})
        self.gateways.append(node)
        return node

    def start(self, *members: Member) -> None:
        """Start all of them at once; returns when they answer."""
        for member in members:
            self.members.append(member)
            self._stack.push(member)
            member.start()
        for member in members:
            wait_until(member.answers, lambda one=member: f"{one.name} answers\n{one.output}", 30)

    def hub(self, *, gateways: int = 2, services: Sequence[str] = ("orders", "orders"), **env: str) -> None:
        """A site with gateways, and services that register each with another one first; returns when all is served."""
        self.start(*(self.gateway(**env) for _ in range(gateways)))
        made = [
            self.service(name, at=self.gateways[number % gateways :] + self.gateways[: number % gateways])
            for number, name in enumerate(services)
        ]
        self.start(*made)
        self.wait_for(*services)

    def wait_for(self, *services: str) -> None:
        """Return when every gateway is ready and knows as many instances of each service as it is named here."""
        count = len(services)
        for gateway in self.gateways:
            wait_until(
                lambda one=gateway: one.known and one.known[-1].active >= count and one.health.code == 200,
                lambda: f"{count} instances everywhere\n{self.told}",
                30,
            )
            for service in set(services):
                serves = partial(gateway.serves_page_of, service)
                wait_until(serves, partial(self._why_not, service))

    def _why_not(self, service: str) -> str:
        return f"{service} is served\n{self.told}"

    @property
    def marks(self) -> list[int]:
        """How many changes each gateway has seen so far."""
        return [len(gateway.known) for gateway in self.gateways]

    @property
    def told(self) -> str:
        """What all processes have said, for messages."""
        return "\n".join(f"== {member.name} {member.serves}\n{member.output}" for member in self.members)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.close()
