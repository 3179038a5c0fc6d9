"""Many instances without processes of their own: each registers and beats as our service side does.

They run in one process beside the test, `python -m tests.faults.crowd`, so that they do not hold up its load. It
stands for other machines, whose processors are not those of the gateways, so it may be given a lower priority.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

from hydra_asgi.backends.native_upstream.upstream import NativeUpstream
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.service.registrar import Registrar
from tests.doubles.prober import FakeProber
from tests.e2e.processes import ROOT, wait_until
from tests.faults.fleet import KEY, SECRET, Member
from tests.faults.needs import dies_with_us

__all__ = ["Crowd", "instances_at"]


def instances_at(
    port: int, count: int, *, service: str = "crowd", services: int = 1, routes: int = 1, host: str = "127.0.0.1"
) -> list[ServiceInstance]:
    """Instances that are all served by one process, told apart by their base paths.

    Args:
        port: of that process.
        count: how many.
        service: what their services' names begin with.
        services: over how many services they are spread; one service has just that name.
        routes: how many each has, its page included.
        host: of that process.
    """
    made = []
    for number in range(count):
        name = service if services == 1 else f"{service}{number % services}"
        templates = [f"/{name}/page/{{n}}", *(f"/{name}/{route}/{{n}}" for route in range(routes - 1))]
        address = Address("http", host, port, f"/at/{number}")
        made.append(ServiceInstance(name, address, version=1, routes=tuple(Route(template) for template in templates)))
    return made


class Crowd:
    """Registers all of them when the context is entered, and beats until it is left, without a farewell.

    Args:
        folder: for what the process says.
        gateways: the first gateway to try is another one for each.
        port: who serves them, as for `instances_at`.
        count: how many.
        service: what their services' names begin with.
        services: over how many services they are spread.
        host: where they are served.
        nice: by how much the process gives way to others.
        within: seconds in which they begin, one after the other; 0 for all in one instant.
    """

    def __init__(
        self,
        folder: Path,
        gateways: Sequence[Member],
        port: int,
        count: int,
        *,
        service: str = "crowd",
        services: int = 1,
        host: str = "127.0.0.1",
        nice: int = 0,
        within: float = 0.0,
    ) -> None:
        self._log = folder / f"crowd-{service}-{id(self)}.log"
        told = {"service": service, "services": services, "host": host}
        words = json.dumps([[gateway.url for gateway in gateways], port, count, nice, within, told])
        self._command = dies_with_us([sys.executable, "-m", "tests.faults.crowd", words])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def registered(self) -> int:
        """How many are members now."""
        return int(self._said[0])

    @property
    def errors(self) -> list[str]:
        """Why some are not, or were not for a while."""
        return list(self._said[1])

    @property
    def _said(self) -> list:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        lines = [line for line in self._log.read_text().splitlines(keepends=True) if line.startswith("[")]
        return json.loads(next((line for line in reversed(lines) if line.endswith("\n")), "[-1, []]"))

    def __enter__(self) -> Self:
        """Returns when the process is ready, and tells it to begin."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: self._log.read_bytes().startswith(b"ready"), lambda: f"a crowd\n{self._log.read_text()}")
        except BaseException:
            self.__exit__()
            raise
        self._process.send_signal(signal.SIGUSR1)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


async def run(gateways: list[str], instances: list[ServiceInstance], within: float) -> None:
    """Wait for SIGUSR1, then register all within so many seconds. Each change of it is a line of output."""
    begin = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, begin.set)
    upstream = NativeUpstream(max_connections=len(instances))
    registrars = []
    for number, instance in enumerate(instances):
        first = number % len(gateways)
        registrars.append(
            Registrar(
                lambda one=instance: one,
                gateways[first:] + gateways[:first],
                KEY,
                SECRET,
                upstream,
                FakeProber(),
                on_overview=lambda _: None,
            )
        )
    say("ready")
    await begin.wait()
    async with asyncio.TaskGroup() as tasks:
        for number, registrar in enumerate(registrars):
            tasks.create_task(later(number * within / len(registrars), registrar.run))
        said = None
        while True:
            registered = sum(one.state.status == "registered" for one in registrars)
            state = [registered, sorted({one.state.last_error for one in registrars} - {""})]
            if state != said:
                said = state
                say(json.dumps(state))
            await asyncio.sleep(0.05)


async def later(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do it in so many seconds."""
    if seconds:
        await asyncio.sleep(seconds)
    await work()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    urls, port, count, nice, within, told = json.loads(sys.argv[1])
    os.nice(nice)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(urls, instances_at(port, count, **told), within))
