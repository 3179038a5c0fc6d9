"""The hash behind the balance: what is hashed is a promise."""

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.routing.rendezvous import begun, best, candidate_prefix, score

VECTORS = json.loads(Path(__file__).with_name("balance_vectors.json").read_text("utf-8"))["scores"]


@pytest.mark.parametrize("vector", VECTORS)
def test_bytes_and_score_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    """The committed vectors, made with decimal arithmetic, hold for ever."""
    prefix = candidate_prefix(vector["what"], vector["service"], vector["candidate"])
    key = vector["key"].encode()
    assert (prefix + key).hex() == vector["hashed"]
    assert score(prefix, key, vector["weight"]) == pytest.approx(vector["score"], rel=1e-12)


@given(st.binary(max_size=40), st.floats(1e-300, 1e9))
def test_a_score_is_a_positive_finite_number(key: bytes, weight: float) -> None:
    """No key makes a score that cannot be compared."""
    assert 0 < score(b"candidate\n", key, weight) < inf


def test_a_score_grows_with_the_weight() -> None:
    """Doubling a weight doubles the score, so that only proportions count."""
    assert score(b"x\n", b"key", 2) == pytest.approx(2 * score(b"x\n", b"key", 1))


@given(
    st.lists(st.tuples(st.binary(max_size=3), st.floats(1e-300, 1e9)), min_size=1, max_size=6), st.binary(max_size=9)
)
def test_the_best_is_the_first_with_the_highest_score(candidates: list[tuple[bytes, float]], key: bytes) -> None:
    """The short way to the winner agrees with every score."""
    scores = [score(prefix, key, weight) for prefix, weight in candidates]
    hashes = [(begun(prefix), weight) for prefix, weight in candidates]
    assert best(hashes, key) == scores.index(max(scores))


def test_without_candidates_there_is_no_winner_to_look_up() -> None:
    """Whoever asks has looked before."""
    assert best([], b"key") == 0
