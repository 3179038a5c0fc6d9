"""As many labels as wanted, and no more."""

from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.bounded_labels import MAX_PAIRS, BoundedLabels


def test_labels_of_a_service() -> None:
    """A service and its version are their own labels; an unknown version is empty."""
    labels = BoundedLabels()
    assert labels.of("orders", 2) == ("orders", "2")
    assert labels.of("orders", None) == ("orders", "")


def test_what_is_beyond_the_bound() -> None:
    """The 201st pair is `other`; those before keep theirs."""
    labels = BoundedLabels()
    for number in range(MAX_PAIRS):
        assert labels.of("orders", number) == ("orders", str(number))
    assert labels.of("orders", MAX_PAIRS) == ("other", "other")
    assert labels.of("orders", 0) == ("orders", "0")


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 4)), max_size=60), st.integers(0, 5))
def test_labels_never_change(pairs: list[tuple[str, int]], size: int) -> None:
    """Whatever comes in which order, a pair always gets the same labels, and there are at most so many of them."""
    labels = BoundedLabels(size)
    first = {pair: labels.of(*pair) for pair in dict.fromkeys(pairs)}
    assert all(labels.of(*pair) == first[pair] for pair in pairs)
    assert len({*first.values()} - {("other", "other")}) <= size
