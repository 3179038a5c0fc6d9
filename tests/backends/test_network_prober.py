"""Asking the network about an announced address."""

import asyncio
import errno
import socket
from typing import Any

import pytest

from hydra_asgi.backends.network_prober import NetworkProber
from hydra_asgi.ports import Prober
from tests.raw_server import raw_server, says


async def test_a_listener_is_reachable() -> None:
    """Where somebody listens there is nothing to complain about."""
    prober: Prober = NetworkProber()
    async with raw_server(says(b"")) as server:
        assert await prober.why_unreachable("127.0.0.1", server.address.port) is None


async def test_a_closed_port_says_connection_refused() -> None:
    """A closed port is named as what it is."""
    async with raw_server(says(b"")) as server:
        port = server.address.port
    assert await NetworkProber().why_unreachable("127.0.0.1", port) == "connection refused"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to host"),
        (OSError(), "oserror"),
        (socket.gaierror(-2, "Name or service not known"), "the name does not resolve"),
    ],
)
async def test_what_the_system_says_is_passed_on(error: OSError, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other refusal of the system is told in its own words."""

    async def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(asyncio, "open_connection", refuse)
    assert await NetworkProber().why_unreachable("a.test", 80) == reason


async def test_silence_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blackhole is given up after the time, and says how long that was."""

    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", never)
    assert await NetworkProber(seconds=0.01).why_unreachable("10.255.255.1", 80) == "no answer within 0.01 s"
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never, raising=False)
    assert await NetworkProber(seconds=0.01).resolve("slow.test") == ()


async def test_nonsense_is_not_an_address() -> None:
    """Labels too long for DNS and ports too large for TCP are reasons, not exceptions."""
    assert await NetworkProber().why_unreachable("x" * 70 + ".test", 80) == "not an address"
    assert await NetworkProber().why_unreachable("127.0.0.1", 70000) == "not an address"


async def test_names_resolve_to_their_addresses_once() -> None:
    """An IP address resolves to itself, each address comes once, and a bad name to nothing."""
    prober = NetworkProber()
    assert await prober.resolve("127.0.0.1") == ("127.0.0.1",)
    assert await prober.resolve("::1") == ("::1",)
    found = await prober.resolve("localhost")
    assert "127.0.0.1" in found
    assert len(found) == len(set(found))
    assert await prober.resolve("x" * 70 + ".test") == ()
