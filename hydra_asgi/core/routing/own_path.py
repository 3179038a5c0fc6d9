"""The path of a request below the mount point. Servers and frameworks disagree on whether `path` holds `root_path`."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

__all__ = ["own_path", "own_raw_path", "quoted"]

_PCHAR = "/~!$&'()*+,;=:@"
"""What stays as it is in a path (RFC 3986 section 3.3), besides letters, digits and `_.-`."""


def quoted(path: str) -> bytes:
    """A decoded path, encoded again."""
    return quote(path, safe=_PCHAR).encode("ascii")


def own_path(scope: Mapping[str, Any]) -> str:
    """The decoded path."""
    path, root = str(scope["path"]), scope.get("root_path", "")
    if not root:
        return path
    root = str(root).rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    return path


def own_raw_path(scope: Mapping[str, Any]) -> bytes:
    """As `own_path`, still encoded; made from the decoded path where the server does not give it."""
    raw, root = scope.get("raw_path"), str(scope.get("root_path", "")).rstrip("/")
    if not raw:
        return quoted(own_path(scope))
    if not root:
        return bytes(raw)
    encoded = quoted(root)
    if raw == encoded or raw.startswith(encoded + b"/"):
        return bytes(raw[len(encoded) :])
    return bytes(raw)
