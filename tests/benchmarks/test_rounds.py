"""Who is measured when, and what is meant by a pattern."""

import pytest

from benchmarks.__main__ import meant_by
from benchmarks.rounds import turned
from benchmarks.site import parse_count


def test_another_one_begins_each_round() -> None:
    """Nobody always comes right after the same neighbour's warm-up."""
    assert [turned(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]
    assert turned([], 1) == []


def test_count_of_the_origin() -> None:
    """The origin's requests are the third number that nginx says."""
    status = (
        "Active connections: 2 \nserver accepts handled requests\n 17 18 4711 \nReading: 0 Writing: 1 Waiting: 1 \n"
    )
    assert parse_count(status) == 4711


@pytest.mark.parametrize(
    ("pattern", "is_meant"),
    [("*", True), ("get-1k", True), ("get-1k/*", True), ("*/nginx", True), ("nginx", True), ("get-10k/*", False)],
)
def test_pattern(pattern: str, is_meant: bool) -> None:
    """A pattern is for the whole name; words without stars may be any part of it."""
    assert meant_by(pattern)("get-1k/nginx") is is_meant
