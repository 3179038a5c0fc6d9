"""Where the file of a `sqlite:` URL lies, and whether that is a place for one.

Three slashes are read as SQLAlchemy reads them, `sqlite:///site.db` in the working directory and
`sqlite:////var/lib/site.db` from the root; and since `sqlite:///var/lib/site.db` is often meant as the second, it is
taken so where the folder exists from the root only.
"""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hydra_asgi.errors import ConfigurationError, StoreError

__all__ = ["check_place", "file_system_of", "locate", "read_sqlite_url"]

_EXPECTED = (
    "expected sqlite:///site.db for a file in the working directory or sqlite:////var/lib/site.db (four slashes) for "
    "one from the root"
)

_NETWORK = frozenset(
    {"afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
)
"""File systems whose locks or shared memory do not hold between machines: SQLite's documentation warns of them."""

_MOUNTS = Path("/proc/self/mountinfo")


def read_sqlite_url(url: str) -> str:
    """The path in a store URL, as it is written there.

    Raises:
        ConfigurationError: it is no URL of a file; says what one looks like.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(f"the store {url[:200]!r} is not a URL: {_EXPECTED}") from None
    path = unquote(parts.path.removeprefix("/"))
    if not url.startswith("sqlite://"):
        raise ConfigurationError(f"the store {url[:200]!r} has no slashes: {_EXPECTED}")
    if parts.netloc:
        raise ConfigurationError(f"the store {url[:200]!r} has {parts.netloc[:80]!r} before the path: {_EXPECTED}")
    if ":memory:" in url or path in {"", "/"}:
        raise ConfigurationError(
            f"the store {url[:200]!r} names no file: {_EXPECTED}, or memory:// for a directory of one process"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(f"the store {url[:200]!r} has more than a path, and no options are known: {_EXPECTED}")
    # `urlsplit` takes some of them away without a word, and the file would be another one.
    if any(character < " " for character in f"{url}{path}"):
        raise ConfigurationError(f"the store {url[:200]!r} has characters that no file should have: {_EXPECTED}")
    if path.endswith("/"):
        raise ConfigurationError(f"the store {url[:200]!r} ends in a folder: {_EXPECTED}")
    return path


def locate(path: str) -> Path:
    """The file that a path in a URL means, from the root.

    Raises:
        StoreError: the folder is not there, or there is a folder in the place of the file.
    """
    written = Path(path)
    meanings = [written] if written.is_absolute() else [Path.cwd() / written, Path("/") / written]
    for meaning in meanings:
        if meaning.parent.is_dir():
            if meaning.is_dir():
                raise StoreError(f"{meaning} is a folder: name a file in it as the store")
            return meaning
    folders = " or ".join(str(meaning.parent) for meaning in meanings)
    raise StoreError(f"the folder of the store's file does not exist ({folders}): make it, or name another file")


def check_place(file: Path) -> None:
    """Refuse a place where SQLite cannot keep its promises.

    Raises:
        StoreError: the file lies on a network file system.
    """
    kind = file_system_of(file)
    if kind in _NETWORK:
        raise StoreError(
            f"{file} lies on a network file system ({kind}), where SQLite's locks do not hold: use a local disk, or "
            "redis:// to share a directory between machines"
        )


def file_system_of(file: Path, mounts: Path = _MOUNTS) -> str:
    """The kind of file system that a file lies on; empty where the system does not tell."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    longest, kind = 0, ""
    target = os.path.realpath(file.parent)
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4:5]
        if not point or not after:
            continue
        # Spaces in mount points are written as \040 (proc(5)).
        place = point[0].replace("\\040", " ")
        # Of two file systems at one place the later one covers the earlier.
        if len(place) >= longest and (target == place or target.startswith(place.rstrip("/") + "/")):
            longest, kind = len(place), after.split(" ")[0]
    return kind
