"""Places and queues."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.health.concurrency import Limits, Places

IN, WAITS, OUT = "in", "waits", "out"


def enter(places: Places[int], service: str, ticket: int) -> str:
    if places.take(service):
        return IN
    return WAITS if places.queue(service, ticket) else OUT


def places(total: int = 10, service: int = 2, queue: int = 2) -> Places[int]:
    return Places(Limits(total, service, queue))


def test_a_service_has_so_many_places_and_so_long_a_queue() -> None:
    """The first ones get places, the next ones wait, and who comes then is sent away."""
    some = places()
    assert [enter(some, "a", ticket) for ticket in range(5)] == [IN, IN, WAITS, WAITS, OUT]
    assert (some.taken("a"), some.waiting("a")) == (2, 2)


def test_first_come_first_served() -> None:
    """A free place goes to who has waited longest; without anybody waiting it is free."""
    some = places()
    for ticket in range(4):
        enter(some, "a", ticket)
    assert [some.leave("a") for _ in range(4)] == [2, 3, None, None]
    assert (some.taken("a"), some.waiting("a")) == (0, 0)


def test_a_full_service_does_not_hold_another() -> None:
    """Places and queues are each service's own."""
    some = places()
    for ticket in range(5):
        enter(some, "slow", ticket)
    assert enter(some, "quick", 9) is IN
    assert some.leave("quick") is None


def test_who_gives_up_leaves_the_queue() -> None:
    """Its turn goes to the next; somebody who has been let in meanwhile is told so."""
    some = places()
    for ticket in range(4):
        enter(some, "a", ticket)
    assert some.give_up("a", 2)
    assert some.leave("a") == 3
    assert not some.give_up("a", 3)
    assert not some.give_up("unknown", 3)


def test_the_total_is_shared_by_turns() -> None:
    """When all places are taken, services that wait get the free ones in turn, not the one that waits most."""
    some = places(total=2, service=2, queue=5)
    enter(some, "a", 0)
    enter(some, "a", 1)
    for ticket in (2, 3, 4):
        assert enter(some, "a", ticket) is WAITS
    assert enter(some, "b", 5) is WAITS
    assert [some.leave("a"), some.leave("a")] == [2, 5]


def test_without_a_queue_nobody_waits() -> None:
    """A queue of 0 refuses at once and leaves nothing behind."""
    some = places(service=1, queue=0)
    assert [enter(some, "a", 0), enter(some, "a", 1)] == [IN, OUT]
    assert some.waiting("a") == 0


@settings(max_examples=200)
@given(
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from(["enter", "leave", "give up"]), st.sampled_from("abc")), max_size=80),
)
def test_agrees_with_lists(total: int, service: int, queue: int, steps: list[tuple[str, str]]) -> None:
    """Never too many, nobody waits while there is room, and everybody of a service is let in in the order of coming."""
    some = Places[int](Limits(total, service, queue))
    inside: dict[str, list[int]] = {name: [] for name in "abc"}
    waiting: dict[str, list[int]] = {name: [] for name in "abc"}

    def has_room(name: str) -> bool:
        return sum(map(len, inside.values())) < total and len(inside[name]) < service

    for ticket, (step, name) in enumerate(steps):
        if step == "enter":
            admission = enter(some, name, ticket)
            if has_room(name):
                assert admission is IN
                inside[name].append(ticket)
            elif len(waiting[name]) < queue:
                assert admission is WAITS
                waiting[name].append(ticket)
            else:
                assert admission is OUT
        elif step == "leave" and inside[name]:
            inside[name].pop()
            following = some.leave(name)
            if following is not None:
                (owner,) = [one for one in "abc" if following in waiting[one]]
                assert has_room(owner)
                assert waiting[owner].pop(0) == following
                inside[owner].append(following)
        elif step == "give up" and waiting[name]:
            assert some.give_up(name, waiting[name].pop())
        assert not any(waiting[one] and has_room(one) for one in "abc")
        assert all(some.taken(one) == len(inside[one]) for one in "abc")
        assert all(some.waiting(one) == len(waiting[one]) for one in "abc")


def test_what_lasts_is_no_longer_its_services() -> None:
    """It counts among all, and its service's place lets in the next."""
    some = places(total=4, service=1, queue=2)
    assert [enter(some, "a", ticket) for ticket in range(3)] == [IN, WAITS, WAITS]
    assert some.settle("a") == 1
    assert (some.taken("a"), some.waiting("a"), some.can_settle) == (1, 1, True)
    assert some.settle("a") == 2
    assert (some.taken("a"), some.can_settle) == (1, False)
    assert enter(some, "b", 9) == IN
    assert enter(some, "c", 10) == WAITS
    assert some.end_lasting() == 10
    assert some.leave("a") is None
    assert some.end_lasting() is None
    assert [some.take(service) for service in "adef"] == [True, True, False, False]
