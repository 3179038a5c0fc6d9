"""Readers of options that are URLs: where nodes are, and where the directory is kept."""

import re
from urllib.parse import urlsplit

from hydra_asgi.core.instance import Address
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options.mistakes import read_items, read_text, wrong

__all__ = ["MEMORY", "read_address", "read_gateways", "read_store", "read_url"]

MEMORY = "memory://"
"""The directory of one process, kept in its memory."""

_STORES = frozenset({"sqlite", "redis", "rediss", "unix", "redis+sentinel", "redis+cluster"})


def read_gateways(value: object, origin: str) -> tuple[str, ...]:
    """The base URLs of gateways, without a slash at the end.

    Raises:
        ConfigurationError: one of them is none.
    """
    urls = tuple(url.rstrip("/") for url in read_items(value, origin))
    for url in urls:
        read_url(url, origin)
    return urls


def read_url(url: str, origin: str) -> Address:
    """The address in an instance's base URL.

    Args:
        url: `http://host:port/base`.
        origin: where it was given, for the message.

    Raises:
        ConfigurationError: it is something else.
    """
    expected = "a URL such as http://10.0.0.7:8002 (scheme http or https, optional base path, nothing else)"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong(origin, _without_user(url), expected) from None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username is not None
        or parts.query
        or parts.fragment
        or not url.isascii()
        or re.search(r"[\x00-\x20\\]", url)
    ):
        raise wrong(origin, _without_user(url), expected)
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


def _without_user(url: str) -> str:
    """What may be shown of a URL: people put passwords there, even where none belongs."""
    return re.sub(r"(?s)//.*@", "//***@", url)


def read_address(value: object, origin: str) -> Address:
    """An address in a URL, or with nothing but a port, and an empty host then.

    Raises:
        ConfigurationError: it is neither.
    """
    text = str(value).strip()
    if (port := text.removeprefix(":")).isascii() and port.isdigit():
        if not 1 <= int(port) <= 65535:
            raise wrong(origin, value, "a port from 1 to 65535")
        return Address("http", "", int(port))
    return read_url(text, origin)


def read_store(value: object, origin: str) -> str:
    """The URL of a store. What comes after the scheme is read by whoever opens it.

    Raises:
        ConfigurationError: there is no such store. The URL may hold a password, so only its scheme is shown.
    """
    text = read_text(value, origin).strip()
    scheme, separator, rest = text.partition("://")
    if (separator and scheme in _STORES and rest) or text == MEMORY:
        return text
    raise ConfigurationError(
        f"{origin} begins with {scheme[:40]!r}: expected memory:// for one process, sqlite:///path/site.db for the "
        "processes of one host, or redis://host:6379/0 for a fleet (also rediss://, unix://, redis+sentinel://, "
        "redis+cluster://)"
    )
