"""Readers of single options: each takes a value and where it was given, and returns what the option's field holds.

A wrong value stops start-up with a message that names where it came from, the value and the way out.
"""

import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import PurePath

from hydra_asgi.core.service_name import ServiceNameError, check_service_name
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options.mistakes import read_items, read_text, wrong
from hydra_asgi.options.rules import read_forward, read_forward_cookies, read_secret, read_service_secrets
from hydra_asgi.options.urls import read_address, read_gateways, read_store

__all__ = ["Network", "read_option"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_COUNT = 1_000_000
"""More requests at a time than any process can hold."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})
_KEY = re.compile(r"[A-Za-z0-9._~-]{1,128}")


def read_option(name: str, value: object, origin: str) -> object:
    """One option's value, read as its field has it.

    Args:
        name: of the option.
        value: as it was given.
        origin: where, for the message.

    Raises:
        ConfigurationError: the value is wrong.
    """
    return _READERS[name](value, origin)


def _service(value: object, origin: str) -> str:
    try:
        return check_service_name(read_text(value, origin))
    except ServiceNameError as error:
        raise ConfigurationError(f"{origin} {error}") from None


def _integer(value: object, origin: str) -> int:
    try:
        number = int(str(value))
    except ValueError:
        raise wrong(origin, value, "an integer, such as 2") from None
    return number


def _version(value: object, origin: str) -> int:
    number = _integer(value, origin)
    if not 0 <= number < 2**63:
        raise wrong(origin, value, "an integer from 0 to 2^63-1")
    return number


def _number(low: float, high: float, unit: str) -> Callable[[object, str], float]:
    def read(value: object, origin: str) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise wrong(origin, value, f"a number{unit} from {low:g} to {high:,.10g}")
        return number

    return read


def _count(low: int) -> Callable[[object, str], int]:
    def read(value: object, origin: str) -> int:
        number = _integer(value, origin)
        if not low <= number <= MAX_COUNT:
            raise wrong(origin, value, f"an integer from {low} to {MAX_COUNT:,}")
        return number

    return read


def _flag(value: object, origin: str) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise wrong(origin, value, "1 or 0 (true/false, yes/no, on/off)")
    return word in _TRUE


def _key(value: object, origin: str) -> str:
    text = read_text(value, origin)
    if text and not _KEY.fullmatch(text):
        raise ConfigurationError(
            f"{origin} is not usable in a path: use up to 128 letters, digits and the characters . _ ~ -"
        )
    return text


def _path(value: object, origin: str) -> str:
    return str(value) if isinstance(value, PurePath) else read_text(value, origin)


def _prefix(value: object, origin: str) -> str:
    text = read_text(value, origin).rstrip("/")
    if text and (not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text) or re.search(r"/\.\.?(/|$)", text)):
        raise wrong(origin, value, "a path of plain segments, such as /orders")
    return text


def _networks(value: object, origin: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    for item in read_items(value, origin):
        try:
            networks.append(ipaddress.ip_network(item))
        except ValueError:
            raise wrong(origin, item, "networks such as 10.0.0.0/8 or single IP addresses") from None
    return tuple(networks)


def _unsigned(value: object, origin: str) -> tuple[str, ...]:
    items = read_items(value, origin)
    for item in items:
        if "/" in item or ":" in item or item[:1].isdigit():
            _networks([item], origin)
        else:
            _service(item, origin)
    return items


_READERS: dict[str, Callable[[object, str], object]] = {
    "service": _service,
    "version": _version,
    "weight": _number(0, 1_000_000, ""),
    "gateway": _flag,
    "gateways": read_gateways,
    "address": read_address,
    "key": _key,
    "secret": read_secret,
    "store": read_store,
    "prefix": _prefix,
    "routes": read_items,
    "exclude": read_items,
    "forward": read_forward,
    "forward_cookies": read_forward_cookies,
    "max_concurrent": _count(1),
    "max_concurrent_total": _count(1),
    "max_queue": _count(0),
    "service_secrets": read_service_secrets,
    "accept_unsigned": _unsigned,
    "allow_addresses": _networks,
    "trusted": _networks,
    "fragment_budget": _number(0.01, 60, " of seconds"),
    "config": _path,
    "last_known_good": _path,
    "public_control": _flag,
    "grace": _number(0, 3600, " of seconds"),
    "enabled": _flag,
    "metrics": _flag,
}
