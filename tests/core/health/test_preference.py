"""The order in which instances in trouble are asked."""

from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.health.preference import Standing, preferred

G, A, U = Standing.GOOD, Standing.AVOIDED, Standing.UNREACHABLE


def test_the_order_of_good_ones_stays() -> None:
    """Where nothing speaks against anybody, keys keep their instances."""
    assert preferred([G, G, G]) == [0, 1, 2]
    assert preferred([]) == []


def test_those_in_trouble_come_last() -> None:
    """An avoided instance is still better than none, and one that answers badly better than one that is gone."""
    assert preferred([U, A, G, G]) == [2, 3, 1, 0]


def test_a_lone_instance_is_never_avoided() -> None:
    """Whatever is known of it, there is nobody else; neither is there where all others are gone."""
    assert preferred([A]) == [0]
    assert preferred([U]) == [0]
    assert preferred([U, A]) == [1, 0]


def test_half_may_be_avoided_and_not_more() -> None:
    """When more than half of those that can be reached are bad, all of them are used."""
    assert preferred([A, G]) == [1, 0]
    assert preferred([A, A, G, G]) == [2, 3, 0, 1]
    assert preferred([A, A, G]) == [0, 1, 2]
    assert preferred([A, A, G, U, U]) == [0, 1, 2, 3, 4]
    assert preferred([U, A, A, G]) == [1, 2, 3, 0]


def test_unreachable_ones_are_no_loss() -> None:
    """However many are gone, those that are there do the work; where all are gone, all are tried."""
    assert preferred([U, U, U, G]) == [3, 0, 1, 2]
    assert preferred([U, U, U]) == [0, 1, 2]


@given(st.lists(st.sampled_from(Standing), max_size=12))
def test_the_rule(standings: list[Standing]) -> None:
    """Everybody is in the order once; it is stable; and the first half of the reachable ones is never put aside."""
    order = preferred(standings)
    assert sorted(order) == list(range(len(standings)))
    for kind in Standing:
        assert [place for place in order if standings[place] is kind] == [
            place for place, standing in enumerate(standings) if standing is kind
        ]
    reachable = [place for place in range(len(standings)) if standings[place] is not U]
    put_aside = [place for place in reachable if standings[place] is A]
    if reachable:
        expected = reachable if 2 * len(put_aside) > len(reachable) else [p for p in reachable if p not in put_aside]
        assert order[: len(expected)] == expected
    else:
        assert order == list(range(len(standings)))
