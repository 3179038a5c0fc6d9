"""The address a service announces: read narrowly, and checked against who announced it.

The gateway will send requests there, so a wrong yes turns it into a tool for reaching inner networks (server-side
request forgery). Only the two schemes we speak, one spelling of each IP address, the caller's own machine unless the
operator listed networks, and the connection later goes to the very IP address that was checked (`Address.pinned`).
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import replace

from hydra_asgi.core.instance import Address
from hydra_asgi.errors import RefusedError

__all__ = ["FORBIDDEN_PORTS", "check_address", "check_base", "check_host", "check_port", "check_scheme"]

FORBIDDEN_PORTS = frozenset({3306, 5432, 6379, 9200, 11211, 26379})
"""Databases and caches that answer to anybody who can speak a line of text. SSH and the rest below 1024 are refused
with all of them."""

_LOW_PORTS = frozenset({80, 443})
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# `127.1`, `2130706433` and `0x7f.1` are IP addresses to many resolvers: a name whose last label is a number is none
# (the "ends in a number" rule of the URL standard).
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_BASE = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
MAX_HOST = 253
MAX_BASE = 256

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def check_scheme(scheme: str) -> str:
    """`http` or `https`.

    Raises:
        RefusedError: 422, it is anything else.
    """
    if scheme not in {"http", "https"}:
        raise RefusedError(422, f"the scheme {scheme[:20]!r} is neither 'http' nor 'https'")
    return scheme


def check_host(host: str) -> str:
    """A DNS name in lower case, or an IP address in its canonical form without brackets.

    Java writes IPv6 addresses without shortening (`0:0:0:0:0:0:0:1`), so these are shortened, not refused.

    Raises:
        RefusedError: 422, it is neither; 422 for a zone, which means nothing on another machine.
    """
    bare = host
    if host.startswith("[") and host.endswith("]") and ":" in host:
        bare = host[1:-1]
    if ":" in bare:
        return str(_ipv6(host, bare))
    labels = bare.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return str(_ipv4(bare))
    if len(bare) > MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise RefusedError(422, f"{host[:80]!r} is not a host name or an IP address")
    return bare.lower()


def check_port(port: int) -> int:
    """A port that a web app may listen on.

    Raises:
        RefusedError: 422, it is not 1 to 65535; 403, it is one of those that web apps do not use and others do.
    """
    if not 1 <= port <= 65535:
        raise RefusedError(422, f"the port {port} is not between 1 and 65535")
    if port in FORBIDDEN_PORTS or (port < 1024 and port not in _LOW_PORTS):
        raise RefusedError(403, f"the port {port} belongs to other protocols; use 80, 443 or a port above 1023")
    return port


def check_base(base: str) -> str:
    """A base path: empty, or `/plain/segments` without a slash at the end (one is taken off).

    Raises:
        RefusedError: 422, it has a query, an escape, `..` or other text that is not a plain segment.
    """
    text = base.removesuffix("/")
    if len(text) > MAX_BASE or not _BASE.fullmatch(text) or {".", ".."}.intersection(text.split("/")):
        raise RefusedError(422, f"the base path {base[:80]!r} is not of the form /plain/segments")
    return text


def check_address(
    scheme: str,
    host: str,
    port: int,
    base: str,
    *,
    caller: str,
    resolved: Sequence[str],
    allowed: Sequence[IPNetwork],
    own: Sequence[tuple[str, int]],
) -> Address:
    """Decide whether requests may be sent to an announced address.

    Args:
        scheme: `http` or `https`.
        host: a DNS name or an IP address.
        port: the TCP port.
        base: the base path.
        caller: the IP address that announced it, `""` when unknown: then only `allowed` counts.
        resolved: the IP addresses of `host`, in the order of preference. Every one has to pass, because the next
            look-up may put another one first.
        allowed: networks in which any address may be announced by anybody.
        own: where this gateway itself listens; announcing that would make a loop.

    Returns:
        The address, pinned to the first of the checked IP addresses.

    Raises:
        RefusedError: 422, it cannot be an address; 403, it is not one for this caller.
    """
    name = check_host(host)
    address = Address(check_scheme(scheme), name, check_port(port), check_base(base))
    candidates = _candidates(name, resolved)
    owner = _maybe_ip(caller)
    for candidate in candidates:
        _check_ip(candidate, address, owner, allowed)
        _check_loop(candidate, address, own)
    return replace(address, pinned=str(candidates[0]))


def _candidates(name: str, resolved: Sequence[str]) -> list[IPAddress]:
    literal = _maybe_ip(name)
    if literal is not None:
        return [literal]
    found = [ip for ip in map(_maybe_ip, resolved) if ip is not None]
    if not found or len(found) < len(resolved):
        raise RefusedError(422, f"the host {name[:80]!r} does not resolve to IP addresses")
    return found


def _check_ip(ip: IPAddress, address: Address, owner: IPAddress | None, allowed: Sequence[IPNetwork]) -> None:
    covering = [network for network in allowed if ip in network]
    what = f"{address}" if str(ip) == address.host else f"{address} ({ip})"
    special = _special(ip)
    if special:
        # A wide network such as 0.0.0.0/0 is not meant to open these; one that lies inside the range says so.
        if not any(_special(network) == special for network in covering):
            raise RefusedError(403, f"{what} is a {special} address")
        return
    is_own = owner is not None and (ip == owner or (ip.is_loopback and owner.is_loopback))
    if not is_own and not covering:
        raise RefusedError(
            403,
            f"{what} is not the address of the caller ({owner or 'unknown'}); announce that, or add its network to "
            "allow_addresses at the gateway",
        )


def _check_loop(ip: IPAddress, address: Address, own: Sequence[tuple[str, int]]) -> None:
    for host, port in own:
        if port != address.port:
            continue
        listening = _maybe_ip(host)
        if listening is None:
            is_same = host.lower() == address.host
        else:
            both_loopback = (listening.is_loopback or listening.is_unspecified) and ip.is_loopback
            is_same = listening == ip or both_loopback
        if is_same:
            raise RefusedError(403, f"{address} is this gateway itself")


def _special(what: IPAddress | IPNetwork) -> str:
    """Which kind of address no web app lives at, `""` for a usable one. A network is special when all of it is."""
    if what.is_loopback:
        return ""
    if what.is_unspecified:
        return "unspecified"
    if what.is_link_local:
        return "link-local"
    if what.is_multicast:
        return "multicast"
    return "reserved" if what.is_reserved else ""


def _ipv4(text: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise RefusedError(422, f"{text[:80]!r} is not an IPv4 address in the form 192.0.2.1") from None


def _ipv6(host: str, text: str) -> ipaddress.IPv6Address:
    try:
        if "%" in text:
            raise RefusedError(422, f"{host[:80]!r} has a zone, which no other machine understands")
        return ipaddress.IPv6Address(text)
    except ValueError:
        raise RefusedError(422, f"{host[:80]!r} is not an IPv6 address in the form 2001:db8::1") from None


def _maybe_ip(text: str) -> IPAddress | None:
    """The IP address in a text, None for a name. An IPv4 address inside `::ffff:192.0.2.1` is taken out."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip
