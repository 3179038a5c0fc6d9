"""Every input that the fuzzer, or a bug, has taught us stays harmless."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    """The target keeps its laws for each committed input and for every cut of it."""
    files = sorted((HERE / "corpus" / name).iterdir())
    assert len(files) >= 10
    for file in files:
        data = file.read_bytes()
        for first in (b"\x00", b"\x06", b"\x24"):
            TARGETS[name](first + data[1:])
        TARGETS[name](data)
