"""Hearing that the server is told to stop."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hydra_asgi.node.stop_signals import StopSignals

Eventually = Callable[..., Any]


class Server:
    """Installs handlers as uvicorn does, and a node in front of them.

    Attributes:
        log: what happened, in order.
        gate: the node leaves when it is set.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.gate = asyncio.Event()
        self.before = {number: signal.signal(number, self.stop) for number in (signal.SIGTERM, signal.SIGINT)}
        self.error: Exception | None = None
        self.signals = StopSignals(asyncio.get_running_loop(), self.leave, self.finish)

    def stop(self, number: int, frame: object) -> None:
        self.log.append(f"server got {signal.Signals(number).name}")

    async def leave(self, is_patient: bool) -> None:
        self.log.append("leaves" if is_patient else "leaves in haste")
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.log.append("has left")

    async def finish(self) -> None:
        self.log.append("finishes")


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Whatever a test does, the handlers of the test run are there again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_sigterm_waits_for_the_node(eventually: Eventually) -> None:
    """The node leaves the site first; then the server is told, and the node lets go on what was begun."""
    server = Server()
    assert server.signals.install()
    os.kill(os.getpid(), signal.SIGTERM)
    await eventually(lambda: server.log)
    assert server.log == ["leaves"]
    server.gate.set()
    await eventually(lambda: len(server.log) == 4)
    assert server.log == ["leaves", "has left", "server got SIGTERM", "finishes"]
    await server.signals.remove()
    assert signal.getsignal(signal.SIGTERM) == server.stop


async def test_sigint_waits_for_nobody(eventually: Eventually) -> None:
    """Ctrl-C reaches the server at once, and the node leaves meanwhile."""
    server = Server()
    assert server.signals.install()
    os.kill(os.getpid(), signal.SIGINT)
    assert server.log == ["server got SIGINT"]
    server.gate.set()
    await eventually(lambda: server.log[-1] == "finishes")
    assert server.log == ["server got SIGINT", "leaves in haste", "has left", "finishes"]
    await server.signals.remove()


async def test_a_server_that_listens_at_the_loop(eventually: Eventually) -> None:
    """Granian and hypercorn hear of SIGTERM from the loop, at the same time as the node, which has to hurry then."""
    server, loop, told = Server(), asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    try:
        assert server.signals.install()
        os.kill(os.getpid(), signal.SIGTERM)
        server.gate.set()
        await eventually(lambda: "finishes" in server.log)
        await told.wait()
        await server.signals.remove()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert server.log == ["leaves in haste", "has left", "finishes"]


async def test_twice_is_meant(eventually: Eventually) -> None:
    """A second signal goes straight to the server; the node leaves once."""
    server = Server()
    assert server.signals.install()
    os.kill(os.getpid(), signal.SIGTERM)
    await eventually(lambda: server.log)
    os.kill(os.getpid(), signal.SIGTERM)
    assert server.log == ["leaves", "server got SIGTERM"]
    await server.signals.remove()
    assert server.log == ["leaves", "server got SIGTERM", "server got SIGTERM"]


async def test_two_before_the_loop_runs(eventually: Eventually) -> None:
    """Two signals at once are one."""
    server = Server()
    assert server.signals.install()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    server.gate.set()
    await eventually(lambda: "finishes" in server.log)
    assert server.log.count("leaves") == 1
    await server.signals.remove()


async def test_a_node_that_cannot_leave(eventually: Eventually, caplog: pytest.LogCaptureFixture) -> None:
    """The server is told all the same."""
    server = Server()
    server.error = RuntimeError("a bug")
    server.gate.set()
    assert server.signals.install()
    os.kill(os.getpid(), signal.SIGTERM)
    await eventually(lambda: "finishes" in server.log)
    assert server.log == ["leaves", "server got SIGTERM", "finishes"]
    assert "leaving the site failed" in caplog.text
    await server.signals.remove()


async def test_without_a_server() -> None:
    """Where nobody handles SIGTERM this is no server, and nothing is touched."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    before = signal.getsignal(signal.SIGINT)
    signals = StopSignals(asyncio.get_running_loop(), lambda is_patient: asyncio.sleep(0), lambda: asyncio.sleep(0))
    assert not signals.install()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before
    await signals.remove()


async def test_sigint_that_is_ignored() -> None:
    """Shells start background jobs with SIGINT ignored; that stays so."""
    server = Server()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert server.signals.install()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    await server.signals.remove()


async def test_not_from_here() -> None:
    """Outside of the main thread there is nothing to step in front of."""
    server = Server()
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(server.signals.install()))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert heard == [False]


async def test_two_nodes_in_one_process(eventually: Eventually) -> None:
    """Nodes stand in front of each other; one that has stepped back still hands on what it hears."""
    server = Server()
    assert server.signals.install()
    second = StopSignals(asyncio.get_running_loop(), server.leave, server.finish)
    assert second.install()
    await server.signals.remove()
    server.gate.set()
    os.kill(os.getpid(), signal.SIGTERM)
    await eventually(lambda: "finishes" in server.log)
    assert server.log == ["leaves", "has left", "server got SIGTERM", "finishes"]
    await second.remove()


def test_a_loop_that_is_gone() -> None:
    """After the end of the loop signals are the server's alone."""
    loop = asyncio.new_event_loop()

    async def make() -> Server:
        return Server()

    server = loop.run_until_complete(make())
    assert server.signals.install()
    loop.close()
    os.kill(os.getpid(), signal.SIGTERM)
    assert server.log == ["server got SIGTERM"]
