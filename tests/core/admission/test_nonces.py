"""Nonces that were used."""

from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.admission.nonces import Nonces


def test_a_nonce_is_used_once() -> None:
    """The second use is refused for as long as the first one said, and does not make it longer."""
    nonces = Nonces()
    assert nonces.first_use("a", 120.0, 0.0)
    assert nonces.first_use("b", 5.0, 0.0)
    assert not nonces.first_use("a", 500.0, 119.9)
    assert nonces.first_use("b", 5.0, 5.0)
    assert nonces.first_use("a", 120.0, 120.0)


def test_what_is_over_takes_no_room() -> None:
    """Memory holds what could still be copied, and no more."""
    nonces = Nonces()
    for number in range(1000):
        assert nonces.first_use(str(number), 10.0, float(number))
    assert len(nonces) == 10


def test_the_memory_is_bounded() -> None:
    """Beyond the bound the nonce that ends first goes early; the others are still known."""
    nonces = Nonces(size=3)
    for name, seconds in (("long", 100.0), ("short", 1.0), ("middle", 10.0), ("new", 50.0)):
        assert nonces.first_use(name, seconds, 0.0)
    assert len(nonces) == 3
    assert not any(nonces.first_use(name, 1.0, 0.5) for name in ("long", "middle", "new"))
    assert nonces.first_use("short", 1.0, 0.5)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.integers(0, 3)), max_size=40))
def test_it_agrees_with_a_plain_dictionary(uses: list[tuple[str, int, int]]) -> None:
    """Whatever order uses come in, a nonce is known exactly while it is good."""
    nonces, ends, now = Nonces(), dict[str, int](), 0
    for nonce, seconds, passed in uses:
        now += passed
        expected = ends.get(nonce, 0) <= now
        assert nonces.first_use(nonce, seconds, now) is expected
        if expected:
            ends[nonce] = now + seconds
        assert len(nonces) == sum(end > now for end in ends.values())
