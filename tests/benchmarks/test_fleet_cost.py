"""What a fleet costs: the arithmetic, the reading of Redis' counters, and one small run with a real Redis."""

import shutil
import subprocess
import sys

import pytest

from benchmarks.beat_load import packed
from benchmarks.fleet_cost import calculated
from benchmarks.redis_meter import Reading, Spent, parse_info, reading
from tests.e2e.processes import ROOT
from tests.faults.needs import need

INFO = """# Stats\r
total_net_input_bytes:1000\r
total_net_output_bytes:2000\r
used_cpu_sys:0.25\r
used_cpu_user:0.5\r
used_memory:900000\r
cmdstat_evalsha:calls=7,usec=100,usec_per_call=14.29\r
cmdstat_hget:calls=30,usec=100,usec_per_call=3.33\r
cmdstat_ping:calls=1,usec=1,usec_per_call=1.00\r
"""


def test_reading() -> None:
    """Commands of nodes are counted, those that scripts run inside are not."""
    assert reading(parse_info(INFO), 300) == Reading(Spent(8, 1000, 2000, 0.75), 900000, 300)


def test_since() -> None:
    """The answer to the first look is not part of what was spent after it."""
    before, after = Reading(Spent(1, 10, 20, 0.5), 0, 100), Reading(Spent(4, 50, 200, 0.75), 0, 100)
    assert after.since(before) == Spent(3, 40, 80, 0.25)


def test_calculated() -> None:
    """A third of the instances beats each second, and each gateway asks five times in four."""
    beat, poll = Spent(1, 300, 4, 0.00003), Spent(1, 400, 40, 0.00004)
    each_second = calculated(beat, poll, instances=300, gateways=4)
    assert each_second.commands == pytest.approx(105)
    assert each_second.received == pytest.approx(100 * 300 + 5 * 400)
    assert calculated(beat, poll, instances=0, gateways=0) == Spent(0, 0, 0, 0)


def test_packed() -> None:
    """A command travels as the protocol has it."""
    assert packed("GET", b"k\xff", 12) == b"*3\r\n$3\r\nGET\r\n$2\r\nk\xff\r\n$2\r\n12\r\n"


@pytest.mark.e2e
def test_a_small_run() -> None:
    """The command measures a small fleet, and what it calculates is what was sent."""
    need(shutil.which("redis-server"), "a Redis: apt-get install redis-server")
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.fleet_cost", "10", "--seconds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("10 instances, 2 gateways, Redis ")
    assert "one beat            1.0 commands" in lines[2]
    assert lines[-1].endswith("at 3 beats")
