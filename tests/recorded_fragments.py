"""Recorded calls about fragments: what unmodified Medusa applications and the Java Hydra said on the wire."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Recorded", "recorded"]

FOLDER = Path(__file__).parent / "recordings" / "medusa-0.9.5"


@dataclass(frozen=True)
class Recorded:
    """One recorded message: its first line, its header fields with lower-case names, its body."""

    line: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.line.split()[1])


def recorded(name: str) -> Recorded:
    """Read one message, for example `fragments-ask.request`."""
    head, _, body = (FOLDER / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    pairs = [field.split(b": ", 1) for field in fields]
    return Recorded(line.decode(), [(key.lower(), value) for key, value in pairs], body)
