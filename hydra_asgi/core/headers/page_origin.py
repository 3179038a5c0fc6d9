"""The origin under which a visitor sees a page: fragments need it for absolute links."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["page_origin", "split_origin"]

_HOST = re.compile(rb"[A-Za-z0-9._~:\[\]-]{1,260}")


def page_origin(scope: Mapping[str, Any]) -> str:
    """`scheme://host` of a request; "" when its Host is missing or nothing that belongs into a link."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    if not _HOST.fullmatch(host):
        return ""
    scheme = "https" if scope.get("scheme") == "https" else "http"
    return f"{scheme}://{host.decode('ascii')}"


def split_origin(origin: str) -> tuple[str, bytes]:
    """Scheme and host of an origin; `http` and `localhost`, which is nobody's site, when it is not known."""
    scheme, _, host = origin.partition("://")
    return (scheme, host.encode("latin-1")) if host else ("http", b"localhost")
