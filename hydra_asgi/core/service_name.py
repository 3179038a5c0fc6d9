"""What a service may be called. The name stands in URLs, store keys, HTML attributes and scripts, so it is narrow."""

import re

from hydra_asgi.errors import HydraError

__all__ = ["RESERVED", "ServiceNameError", "check_service_name"]

RESERVED = frozenset({"h", "static", "self"})
"""Refused, in upper case too: `h` is the control plane's path, `/{service}/static/` must not read `/static/static/`,
and `self` in a fragment tag means the page's own service."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._~-]{0,62}")


class ServiceNameError(HydraError, ValueError):
    """A name that no service may have."""


def check_service_name(name: str) -> str:
    """Return the name unchanged when a service may have it.

    Only unreserved characters of RFC 3986 section 2.3 are allowed, so the name is never escaped anywhere.

    Raises:
        ServiceNameError: says what is wrong and what a name looks like.
    """
    if _NAME.fullmatch(name) is None:
        raise ServiceNameError(
            f"{name[:80]!r} is not a service name: use 1 to 63 characters, a letter first, "
            "then letters, digits, '.', '_', '~' or '-'"
        )
    if name.lower() in RESERVED:
        raise ServiceNameError(f"{name!r} is reserved ({', '.join(sorted(RESERVED))}): choose another service name")
    return name
