"""Takes the sockets that a gateway listens on, and says in one line why one cannot be had."""

import errno
import socket

from hydra_asgi.errors import ConfigurationError

__all__ = ["CONTROL", "PUBLIC", "bind"]

PUBLIC = ("--host", "--port")
"""The options that name where the public comes in."""

CONTROL = ("--control", "--control")
"""The options that name where the control plane is."""


def bind(host: str, port: int, options: tuple[str, str] = PUBLIC) -> socket.socket:
    """A socket that several processes may listen on; it does not listen yet.

    Args:
        host: a name or an IP address of this machine.
        port: 0 for any that is free.
        options: what names the host and the port, for the message.

    Raises:
        ConfigurationError: the host is none of this machine, or the port cannot be had.
    """
    try:
        family, kind, _, _, at = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # Named as TCP: asyncio switches Nagle's algorithm off only then, and with it each response takes 40 ms longer.
        bound = socket.socket(family, kind, socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigurationError(f"{options[0]} is {host[:120]!r}: {error.strerror}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(at)
    except OSError as error:
        bound.close()
        raise ConfigurationError(f"the port {port} of {host[:120]} {_why(error, *options)}") from None
    return bound


def _why(error: OSError, host_option: str, port_option: str) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"is in use; take another with {port_option}"
        case errno.EACCES:
            return f"is not for this user; take one above 1023 with {port_option}"
        case errno.EADDRNOTAVAIL:
            return f"cannot be had: this machine has no such address, take another with {host_option}"
        case _:
            return f"cannot be had: {error.strerror}"
