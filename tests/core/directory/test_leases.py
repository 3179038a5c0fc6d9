"""The lease book: who is listed, who may change it, when the revision moves."""

from dataclasses import replace

import pytest

from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.directory.lease_times import SWEEP_SECONDS
from hydra_asgi.core.directory.leases import LeaseBook, Swept
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.core.routing.token import MAX_TOKEN, MIN_TOKEN, first_token, next_token
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import RefusedError


def instance(service: str = "orders", port: int = 8001, **fields: object) -> ServiceInstance:
    return ServiceInstance(service, Address("http", "10.0.0.1", port), **fields)  # type: ignore[arg-type]


def lease(name: str = "a", service: str = "orders", caller: str = "10.0.0.1", *, signed: bool = False) -> LeaseState:
    return LeaseState(name, service, caller, signed)


class Watched:
    """A book and somebody who sweeps it every half second, as nodes do."""

    def __init__(self) -> None:
        self.book = LeaseBook()
        self.now = 1000.0
        self.alarms: list[str] = []

    def advance(self, seconds: float, *beating: str) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            for name in beating:
                self.book.renew(name, "orders", self.now)
            swept = self.book.sweep(self.now)
            if swept.alarm:
                self.alarms.append(swept.alarm)

    def register(self, given: ServiceInstance, held: LeaseState) -> ServiceInstance:
        return self.book.register(given, held, self.now)

    @property
    def states(self) -> dict[int, bool]:
        return {listed.address.port: listed.active for listed in self.book.instances}


def test_a_registered_instance_is_listed_with_token_and_order() -> None:
    """The book gives an instance its name in URLs and its place in age."""
    watched = Watched()
    first = watched.register(replace(instance(), active=False, token=5, order=9), lease())
    second = watched.register(instance(port=8002), lease("b"))
    assert watched.book.instances == (first, second)
    assert first.token == first_token("orders", first.address)
    assert MIN_TOKEN <= second.token <= MAX_TOKEN
    assert (first.order, second.order) == (1, 2)
    assert first.active


def test_two_instances_never_share_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two identities meet at one token, the later one moves on."""
    monkeypatch.setattr("hydra_asgi.core.directory.leases.first_token", lambda service, address: MAX_TOKEN)
    watched = Watched()
    tokens = [watched.register(instance(port=port), lease(str(port))).token for port in (1, 2, 3)]
    assert tokens == [MAX_TOKEN, MIN_TOKEN, next_token(MIN_TOKEN)]


def test_a_repetition_changes_nothing_and_counts_as_a_beat() -> None:
    """Registering again with the same content renews the lease and leaves the revision alone."""
    watched = Watched()
    first = watched.register(instance(), lease())
    watched.advance(4)
    before = watched.book.counter
    assert watched.register(instance(active_since=99), lease()) == first
    watched.advance(4)
    assert watched.book.counter == before
    assert watched.states == {8001: True}


def test_new_content_replaces_the_old_and_moves_the_revision() -> None:
    """A service may say something new about itself; token and order stay."""
    watched = Watched()
    first = watched.register(instance(), lease())
    before = watched.book.counter
    second = watched.register(instance(routes=(Route("/new"),)), lease())
    assert watched.book.instances == (second,)
    assert second == replace(first, routes=(Route("/new"),))
    assert watched.book.counter == before + 1


def test_beats_keep_an_instance_active_and_the_revision_still() -> None:
    """A beat is no change."""
    watched = Watched()
    watched.register(instance(), lease())
    before = watched.book.counter
    watched.advance(30, "a")
    assert watched.states == {8001: True}
    assert watched.book.counter == before


def test_silence_makes_inactive_then_forgotten() -> None:
    """Silent for more than five seconds is inactive, for ten is gone; each moves the revision once."""
    watched = Watched()
    watched.register(instance(), lease())
    watched.advance(5)
    assert watched.states == {8001: True}
    before = watched.book.counter
    watched.advance(0.5)
    assert watched.states == {8001: False}
    assert watched.book.counter == before + 1
    watched.advance(4)
    assert watched.states == {8001: False}
    watched.advance(0.5)
    assert watched.states == {}
    assert watched.book.counter == before + 2
    assert not watched.book.renew("a", "orders", watched.now)


def test_a_beat_revives_an_inactive_instance() -> None:
    """Reviving moves the revision; token and order are those it had."""
    watched = Watched()
    first = watched.register(instance(), lease())
    watched.advance(8)
    before = watched.book.counter
    assert watched.book.renew("a", "orders", watched.now)
    assert watched.book.instances == (first,)
    assert watched.book.counter == before + 1


def test_a_registration_revives_an_inactive_instance() -> None:
    """So does the same registration again."""
    watched = Watched()
    first = watched.register(instance(), lease())
    watched.advance(8)
    before = watched.book.counter
    assert watched.register(instance(), lease()) == first
    assert watched.book.counter == before + 1


def test_an_instance_lives_while_one_of_its_leases_does() -> None:
    """Several processes behind one address: the others' end is not the instance's."""
    watched = Watched()
    watched.register(instance(), lease("a"))
    watched.register(instance(), lease("b"))
    watched.advance(30, "b")
    assert watched.states == {8001: True}
    assert [state.id for state in watched.book.leases_of("orders", "10.0.0.1", watched.now)] == ["b"]


def test_the_last_release_takes_the_instance_with_it_at_once() -> None:
    """Leaving is immediate, and only the last one leaving is a change."""
    watched = Watched()
    watched.register(instance(), lease("a"))
    watched.register(instance(), lease("b"))
    before = watched.book.counter
    assert watched.book.release("a", "orders", watched.now)
    assert watched.book.counter == before
    assert watched.book.release("b", "orders", watched.now)
    assert watched.book.instances == ()
    assert watched.book.counter == before + 1
    assert not watched.book.release("b", "orders", watched.now)


def test_a_release_may_leave_a_silent_instance_behind() -> None:
    """When the only lease that beats is released, the instance is inactive at once."""
    watched = Watched()
    watched.register(instance(), lease("a"))
    watched.register(instance(), lease("b"))
    watched.advance(6, "b")
    assert watched.states == {8001: True}
    watched.book.release("b", "orders", watched.now)
    assert watched.states == {8001: False}


def test_verbs_about_a_lease_ask_for_its_service() -> None:
    """A lease is only known together with its service."""
    watched = Watched()
    watched.register(instance(), lease())
    assert not watched.book.renew("a", "shop", watched.now)
    assert not watched.book.release("a", "shop", watched.now)
    assert not watched.book.renew("b", "orders", watched.now)
    assert watched.states == {8001: True}


def test_a_lease_that_moves_takes_its_old_instance_with_it() -> None:
    """One process has one address: a new one replaces the old one."""
    watched = Watched()
    old = watched.register(instance(), lease())
    new = watched.register(instance(port=8002), lease())
    assert watched.book.instances == (new,)
    assert new.order > old.order


def test_a_lease_that_moves_leaves_other_leases_alone() -> None:
    """The old instance stays while another process holds it."""
    watched = Watched()
    watched.register(instance(), lease("a"))
    watched.register(instance(), lease("b"))
    watched.register(instance(port=8002), lease("a"))
    assert watched.states == {8001: True, 8002: True}


def test_a_lease_of_another_service_is_refused() -> None:
    """A lease's name cannot be taken over by another service, and nothing changes."""
    watched = Watched()
    watched.register(instance(), lease())
    with pytest.raises(RefusedError, match="not one of 'shop'") as refused:
        watched.register(instance("shop"), lease(service="shop"))
    assert refused.value.status == 403
    assert watched.states == {8001: True}


@pytest.mark.parametrize("name", ["a", "b"])
def test_an_unsigned_call_does_not_touch_a_signed_instance(name: str) -> None:
    """Neither with the signed lease's own name nor with another."""
    watched = Watched()
    first = watched.register(instance(), lease("a", signed=True))
    with pytest.raises(RefusedError, match=r"'orders' at 'http://10\.0\.0\.1:8001' is held with") as refused:
        watched.register(instance(routes=(Route("/evil"),)), lease(name))
    assert refused.value.status == 403
    assert watched.book.instances == (first,)


def test_an_unsigned_call_does_not_move_a_signed_lease() -> None:
    """A signed lease is not led away to another address either."""
    watched = Watched()
    watched.register(instance(), lease("a", signed=True))
    with pytest.raises(RefusedError):
        watched.register(instance(port=8002), lease("a"))
    assert watched.states == {8001: True}


def test_a_signed_call_may_take_over_an_unsigned_instance() -> None:
    """A service that starts to sign is believed from then on."""
    watched = Watched()
    watched.register(instance(), lease("a"))
    watched.register(instance(), lease("a", signed=True))
    assert [state.signed for state in watched.book.leases_of("orders", "10.0.0.1", watched.now)] == [True]
    with pytest.raises(RefusedError):
        watched.register(instance(), lease("b"))


def test_a_signed_call_may_repeat_and_change_what_is_signed() -> None:
    """A signature opens what it holds, for every process of the service."""
    watched = Watched()
    watched.register(instance(), lease("a", signed=True))
    watched.register(instance(), lease("b", signed=True))
    assert watched.register(instance(weight=3.0), lease("a", signed=True)).weight == 3.0


def test_a_token_goes_with_its_instance() -> None:
    """What is gone cannot be drained, and coming back it has the name it had."""
    watched = Watched()
    token = watched.register(instance(), lease()).token
    watched.book.release("a", "orders", watched.now)
    assert not watched.book.drain(token, watched.now)
    assert watched.register(instance(), lease()).token == token


def test_leases_are_found_by_the_address_that_announced_them() -> None:
    """A beat that names no lease is attributed by service and caller; the lease follows its caller."""
    watched = Watched()
    watched.register(instance(), lease("a", caller="10.0.0.1"))
    watched.register(instance(port=8002), lease("b", caller="10.0.0.1"))
    watched.register(instance(port=8003), lease("c", caller="10.0.0.3"))
    watched.advance(6, "b", "c")
    assert watched.book.leases_of("orders", "10.0.0.1", watched.now) == (
        LeaseState("a", "orders", "10.0.0.1", active=False),
        LeaseState("b", "orders", "10.0.0.1", active=True),
    )
    watched.register(instance(), lease("a", caller="10.0.0.9"))
    assert [state.id for state in watched.book.leases_of("orders", "10.0.0.1", watched.now)] == ["b"]
    assert [state.id for state in watched.book.leases_of("orders", "10.0.0.9", watched.now)] == ["a"]
    assert watched.book.leases_of("shop", "10.0.0.1", watched.now) == ()


def test_a_vouch_keeps_a_silent_instance_for_ten_seconds() -> None:
    """An instance that still answers requests stays listed as inactive, and a late beat finds its lease."""
    watched = Watched()
    token = watched.register(instance(), lease()).token
    watched.advance(9)
    before = watched.book.counter
    watched.book.vouch(token, watched.now)
    watched.book.vouch(MIN_TOKEN, watched.now)
    watched.advance(9.5)
    assert watched.states == {8001: False}
    assert watched.book.counter == before
    assert watched.book.renew("a", "orders", watched.now)
    assert watched.states == {8001: True}


def test_a_revival_drops_the_leases_that_lapsed_meanwhile() -> None:
    """What a vouch kept for want of a living lease goes with the next sweep when there is one."""
    watched = Watched()
    token = watched.register(instance(), lease("a")).token
    watched.advance(9)
    watched.book.vouch(token, watched.now)
    watched.advance(3)
    watched.register(instance(), lease("b"))
    watched.advance(0.5)
    assert [state.id for state in watched.book.leases_of("orders", "10.0.0.1", watched.now)] == ["b"]


def test_a_vouch_ends() -> None:
    """Without a further vouch the instance goes ten seconds after the last one."""
    watched = Watched()
    token = watched.register(instance(), lease()).token
    watched.advance(9)
    watched.book.vouch(token, watched.now)
    watched.advance(9.5)
    assert watched.states == {8001: False}
    watched.advance(0.5)
    assert watched.states == {}


def test_draining_sets_the_effective_weight_to_zero_and_back() -> None:
    """Draining moves the revision once and survives a repeated registration."""
    watched = Watched()
    token = watched.register(instance(weight=4.0), lease()).token
    before = watched.book.counter
    assert watched.book.drain(token, watched.now)
    assert watched.book.drain(token, watched.now)
    assert watched.register(instance(weight=4.0), lease()).weight == 0.0
    assert watched.book.counter == before + 1
    assert watched.book.drain(token, watched.now, draining=False)
    assert watched.book.instances[0].weight == 4.0
    assert not watched.book.drain(MIN_TOKEN, watched.now)


def test_a_process_that_starts_again_does_not_drain_for_ever() -> None:
    """Draining ends with the leases that were there when it was said, even if the address stays in use."""
    watched = Watched()
    token = watched.register(instance(weight=4.0), lease("old")).token
    watched.book.drain(token, watched.now)
    watched.advance(2)
    watched.register(instance(weight=4.0), lease("new"))
    watched.advance(7, "new")
    assert watched.book.instances[0].weight == 0.0
    watched.advance(2, "new")
    assert watched.book.instances[0].weight == 4.0


def test_settings_move_the_revision_when_they_change() -> None:
    """Central settings belong to the directory's state."""
    book, given = LeaseBook(), ServiceSettings({1: 90.0, 2: 10.0})
    book.configure("orders", given)
    book.configure("orders", ServiceSettings({2: 10.0, 1: 90.0}))
    assert (book.settings, book.counter) == ({"orders": given}, 1)
    book.configure("shop", given)
    book.configure("orders", None)
    book.configure("orders", ServiceSettings())
    assert (book.settings, book.counter) == ({"shop": given}, 3)
    book.configure("shop", ServiceSettings())
    assert (book.settings, book.counter) == ({}, 4)


def test_settings_are_what_they_were_when_they_were_given() -> None:
    """Whoever changes his own dict afterwards changes nothing here, and what is read is not changed later."""
    book, shares = LeaseBook(), {1: 90.0}
    book.configure("orders", ServiceSettings(shares))
    shares[2] = 10.0
    read = book.settings
    assert read == {"orders": ServiceSettings({1: 90.0})}
    book.configure("orders", None)
    assert read == {"orders": ServiceSettings({1: 90.0})}


def counter_of(book: LeaseBook) -> int:
    (state,) = book.leases_of("orders", "10.0.0.1", 1000.0)
    return state.counter


def test_a_lease_takes_only_rising_counters() -> None:
    """A copy of an old call is refused for every verb, changes nothing and is no beat."""
    watched = Watched()
    book, held = watched.book, replace(lease(signed=True), counter=5)
    watched.register(instance(), held)
    watched.advance(4)
    before = book.counter
    for used in (5, 4, 1, -1):
        with pytest.raises(RefusedError, match="used before") as refused:
            watched.register(instance(weight=3.0), replace(held, counter=used))
        assert refused.value.status == 401
        for verb in (book.renew, book.release):
            with pytest.raises(RefusedError, match="used before"):
                verb("a", "orders", watched.now, counter=used)
    assert (counter_of(book), book.counter) == (5, before)
    watched.advance(1.5)
    assert watched.states == {8001: False}
    assert book.renew("a", "orders", watched.now, counter=6)
    watched.register(instance(), replace(held, counter=9))
    assert counter_of(book) == 9
    assert book.release("a", "orders", watched.now, counter=10)


def test_a_call_without_a_counter_leaves_it_alone() -> None:
    """Peers that do not count are as welcome as before; the highest number seen stays."""
    watched = Watched()
    book = watched.book
    watched.register(instance(), replace(lease(), counter=5))
    assert book.renew("a", "orders", watched.now)
    watched.register(instance(), lease())
    watched.register(instance(port=8002), lease())
    assert counter_of(book) == 5
    assert book.release("a", "orders", watched.now)


def test_a_counter_ends_with_its_lease() -> None:
    """A lease that starts anew counts from what it brings; an unknown one has no counter to be refused by."""
    watched = Watched()
    watched.register(instance(), replace(lease(), counter=5))
    assert watched.book.release("a", "orders", watched.now, counter=6)
    assert not watched.book.renew("a", "orders", watched.now, counter=1)
    assert not watched.book.renew("a", "shop", watched.now, counter=1)
    watched.register(instance(), replace(lease(), counter=2))
    assert counter_of(watched.book) == 2


def test_a_stranger_is_told_so_before_its_counter_is_looked_at() -> None:
    """The reason that the caller can do something about comes first, and nothing is counted."""
    watched = Watched()
    watched.register(instance(), replace(lease(signed=True), counter=5))
    with pytest.raises(RefusedError) as refused:
        watched.register(instance("shop"), LeaseState("a", "shop", "10.0.0.1", signed=True, counter=7))
    assert refused.value.status == 403
    assert counter_of(watched.book) == 5


def test_time_away_does_not_count() -> None:
    """A stopped process blames nobody: all deadlines move by the gap."""
    watched = Watched()
    watched.register(instance(), lease())
    watched.advance(2)
    watched.now += 3600
    assert watched.book.sweep(watched.now) == Swept()
    watched.advance(5 - 2 - SWEEP_SECONDS)
    assert watched.states == {8001: True}
    watched.advance(0.5)
    assert watched.states == {8001: False}


def test_a_beat_that_comes_first_after_the_gap_lasts_no_longer_than_any_other() -> None:
    """The gap moves old deadlines, not those of beats taken after it."""
    watched = Watched()
    watched.register(instance(), lease())
    watched.now += 3600
    watched.book.renew("a", "orders", watched.now)
    watched.advance(5.5)
    assert watched.states == {8001: False}


def test_most_instances_going_at_once_are_held_and_an_alarm_is_raised() -> None:
    """When most of eight or more go silent together they stay listed for a minute, with one alarm for all."""
    watched = Watched()
    for port in range(12):
        watched.register(instance(port=port), lease(str(port)))
        watched.advance(0.25)
    watched.advance(9)
    assert watched.states == dict.fromkeys(range(12), False)
    assert len(watched.alarms) == 1
    assert "of 12 instances went silent within 3 s" in watched.alarms[0]
    watched.advance(50)
    assert len(watched.states) == 12
    watched.advance(12)
    assert watched.states == {}
    assert len(watched.alarms) == 1


def test_held_instances_revive_with_a_beat_and_may_be_held_again() -> None:
    """Instances that come back are as good as before; the next mass silence is news."""
    watched = Watched()
    names = [str(port) for port in range(8)]
    for name in names:
        watched.register(instance(port=int(name)), lease(name))
    for _ in range(2):
        watched.advance(30)
        watched.advance(1, *names)
        assert watched.states == dict.fromkeys(range(8), True)
    assert len(watched.alarms) == 2


@pytest.mark.parametrize(("known", "silent"), [(7, 7), (8, 4), (20, 10)])
def test_a_few_instances_going_are_just_gone(known: int, silent: int) -> None:
    """Below eight instances, or up to one half, silence means what it says."""
    watched = Watched()
    for port in range(known):
        watched.register(instance(port=port), lease(str(port)))
    watched.advance(12, *map(str, range(silent, known)))
    assert len(watched.states) == known - silent
    assert watched.alarms == []


def test_instances_that_are_forgotten_together_are_held_too() -> None:
    """The end of many vouches at once is a mass silence as well."""
    watched = Watched()
    tokens = []
    for port in range(8):
        tokens.append(watched.register(instance(port=port), lease(str(port))).token)
        watched.advance(4.5, *map(str, range(port + 1, 8)))
        for token in tokens:
            watched.book.vouch(token, watched.now)
    watched.advance(11)
    assert len(watched.states) == watched.book.held == 8
    assert len(watched.alarms) == 1


def test_the_next_deadline_is_the_first_moment_a_sweep_may_change_something() -> None:
    """The edge may sleep until then; with nothing listed there is nothing to wait for."""
    book = LeaseBook()
    assert book.next_deadline() is None
    book.register(instance(), lease(), 100.0)
    assert book.next_deadline() == pytest.approx(105.0)
    book.sweep(101.0)
    book.renew("a", "orders", 102.0)
    for now in (103.0, 104.0, 105.0, 106.0):
        assert book.sweep(now) == Swept()
    assert book.next_deadline() == pytest.approx(107.0)
    book.release("a", "orders", 106.5)
    book.sweep(107.5)
    assert book.next_deadline() is None
