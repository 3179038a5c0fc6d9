"""The page on architecture names the arrows that the tests hold the package to."""

import re
from pathlib import Path

from tests.test_architecture import ARROWS

TEXT = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
ROWS = re.findall(r"^\| `([a-z_]+)(?:/|\.py)` \| .* \| (.*) \|$", TEXT, re.MULTILINE)


def test_every_room_and_its_arrows() -> None:
    """The table has each layer once, with what it may know."""
    told = {room: set(re.findall(r"`([a-z_]+)`", known)) for room, known in ROWS}
    assert len(told) == len(ROWS)
    assert told == {room: known for room, known in ARROWS.items() if room not in {"", "__main__"}}
