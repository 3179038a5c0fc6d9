"""Another time of day for a process: libfaketime, with a clock that can be moved while the process runs.

Only the time of day is moved. The monotonic clock stays, as it does when an operator or a broken NTP server sets the
clock of a machine.
"""

from pathlib import Path

from tests.faults.needs import need

__all__ = ["FakeTime"]


class FakeTime:
    """One clock.

    Args:
        folder: for the file that holds the offset.
        hours: by which the clock is ahead at the start.

    Attributes:
        env: makes a process use it.
    """

    def __init__(self, folder: Path, hours: float = 0.0) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        library = need(found[0] if found else None, "libfaketime: apt-get install libfaketime")
        self._file = folder / f"faketime-{id(self)}"
        self.env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.set(hours)

    def set(self, hours: float) -> None:
        """Jump to so many hours ahead of the real time."""
        self._file.write_text(f"{3600 * hours:+.0f}\n")
