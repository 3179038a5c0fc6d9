"""Another time of day."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.faketime import FakeTime

pytestmark = pytest.mark.e2e

TELL = """
import time
for line in iter(input, "end"):
    print(time.time(), time.monotonic(), flush=True)
"""


def test_the_time_of_day_jumps_and_the_monotonic_clock_does_not(tmp_path: Path) -> None:
    """While the process runs, forth and back."""
    clock = FakeTime(tmp_path, 1)
    with subprocess.Popen(
        [sys.executable, "-c", TELL], env=clock.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for hours in (1, -2, 0):
            clock.set(hours)
            process.stdin.write("now\n")
            process.stdin.flush()
            wall, monotonic = map(float, process.stdout.readline().split())
            assert abs(wall - time.time() - 3600 * hours) < 60
            assert abs(monotonic - time.monotonic()) < 60
        process.stdin.write("end\n")
