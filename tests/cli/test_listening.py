"""The sockets of a gateway."""

import socket
from pathlib import Path

import pytest

from hydra_asgi.cli import listening
from hydra_asgi.cli.listening import CONTROL, PUBLIC, bind
from hydra_asgi.errors import ConfigurationError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_bound_socket(host: str) -> None:
    """It is named as TCP, of the family that the host has, and not listening yet."""
    if host == "::1" and not Path("/proc/net/if_inet6").read_text():
        host = "127.0.0.1"
    with bind(host, 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP
        assert bound.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("no such host", "--host is 'no such host'"),
        ("192.0.2.1", "cannot be had: this machine has no such address, take another with --host"),
    ],
)
def test_what_cannot_be_bound(host: str, told: str) -> None:
    """A host that is none, or none of this machine, is named."""
    with pytest.raises(ConfigurationError, match=told):
        bind(host, 0)


@pytest.mark.parametrize(("options", "way_out"), [(PUBLIC, "--port"), (CONTROL, "--control")])
def test_a_port_in_use(options: tuple[str, str], way_out: str) -> None:
    """The message names the port and the option that takes another one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            bind("127.0.0.1", port, options)
    assert str(caught.value) == f"the port {port} of 127.0.0.1 is in use; take another with {way_out}"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(13, "Permission denied"), "is not for this user; take one above 1023 with --port"),
        (OSError(5, "Input/output error"), "cannot be had: Input/output error"),
    ],
)
def test_what_a_machine_refuses(error: OSError, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports below 1024 are for root on most machines; what else there may be is said as it is."""

    class Refusing(socket.socket):
        def bind(self, at: object) -> None:
            raise error

    monkeypatch.setattr(listening.socket, "socket", Refusing)
    with pytest.raises(ConfigurationError) as caught:
        bind("127.0.0.1", 80)
    assert str(caught.value) == f"the port 80 of 127.0.0.1 {told}"
