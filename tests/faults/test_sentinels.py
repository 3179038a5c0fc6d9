"""Real failovers."""

from pathlib import Path

import pytest

from tests.faults.sentinels import MASTER, Sentinels

pytestmark = pytest.mark.e2e


def test_the_sentinels_make_another_server_the_master(tmp_path: Path) -> None:
    """What was written is there after a failover that was asked for, and after one because the master was killed."""
    with Sentinels(tmp_path) as sentinels:
        assert sentinels.url.startswith("redis+sentinel://127.0.0.1:")
        assert sentinels.url.endswith(f"/{MASTER}/0")
        first = sentinels.master
        first.ask("SET", "name", "value")
        assert first.ask("WAIT", 2, 5_000) == 2
        sentinels.fail_over()
        second = sentinels.master
        assert second is not first
        assert second.ask("GET", "name") == b"value"
        second.kill()
        sentinels.wait_for_another(second)
        assert sentinels.master is not second
        assert sentinels.master.ask("GET", "name") == b"value"
