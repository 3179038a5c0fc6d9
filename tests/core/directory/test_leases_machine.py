"""The lease book against a naive model that ages everything by hand and looks at all of it every time."""

from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.directory.leases import LeaseBook
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.errors import RefusedError

PORTS = st.integers(1, 10)
LEASES = st.integers(1, 12).map(str)
COUNTERS = st.sampled_from([0, 0, 0, 1, 2, 3])
CALLERS = st.sampled_from(["10.0.0.1", "10.0.0.2"])
SERVICE = "orders"
GRAIN = Fraction(1, 1024)
"""Keeps every age away from the deadlines themselves, where the rounding of floats would decide."""


@dataclass
class OldLease:
    caller: str
    signed: bool
    age: Fraction = Fraction(0)
    draining: bool = False
    counter: int = 0

    @property
    def beats(self) -> bool:
        return self.age <= 5


@dataclass
class OldInstance:
    port: int
    order: int
    version: int
    leases: dict[str, OldLease] = field(default_factory=dict)
    active: bool = True
    drained: bool = False
    silent: Fraction | None = None
    vouched: Fraction = Fraction(0)
    held: Fraction | None = None

    @property
    def shown(self) -> tuple[int, int, int, bool, float]:
        return (self.port, self.order, self.version, self.active, 0.0 if self.drained else 10.0)

    @property
    def is_over(self) -> bool:
        kept = self.vouched > 0 or (self.held is not None and self.held > 0)
        return not kept and all(lease.age >= 10 for lease in self.leases.values())

    def settle(self) -> None:
        self.active = any(lease.beats for lease in self.leases.values())
        self.drained = any(lease.draining for lease in self.leases.values())
        if self.active:
            self.silent = self.held = None
        elif self.silent is None:
            self.silent = Fraction(0)


class Model:
    """What the book should say."""

    def __init__(self) -> None:
        self.instances: list[OldInstance] = []
        self.orders = 0

    def age(self, seconds: Fraction) -> None:
        for instance in self.instances:
            instance.vouched -= seconds
            if instance.held is not None:
                instance.held -= seconds
            if instance.silent is not None:
                instance.silent += seconds
            for lease in instance.leases.values():
                lease.age += seconds

    def of_lease(self, name: str) -> OldInstance | None:
        return next((instance for instance in self.instances if name in instance.leases), None)

    def at(self, port: int) -> OldInstance | None:
        return next((instance for instance in self.instances if instance.port == port), None)

    def register(self, port: int, version: int, name: str, caller: str, signed: bool, counter: int) -> bool:
        old, target = self.of_lease(name), self.at(port)
        protected = (old is not None and old.leases[name].signed) or (
            target is not None and any(lease.signed for lease in target.leases.values())
        )
        if protected and not signed:
            return False
        seen = 0 if old is None else old.leases[name].counter
        if counter and counter <= seen:
            return False
        draining = old is not None and old is target and old.leases[name].draining
        if old is not None and old is not target:
            self.release(name)
        if target is None:
            self.orders += 1
            target = OldInstance(port, self.orders, version)
            self.instances.append(target)
        target.version = version
        target.leases[name] = OldLease(caller, signed, draining=draining, counter=counter or seen)
        target.settle()
        return True

    def is_copy(self, name: str, counter: int) -> bool:
        """Whether a call for a lease carries a number that was seen."""
        instance = self.of_lease(name)
        return instance is not None and 0 < counter <= instance.leases[name].counter

    def renew(self, name: str, counter: int = 0) -> bool:
        instance = self.of_lease(name)
        if instance is None:
            return False
        instance.leases[name].age = Fraction(0)
        instance.leases[name].counter = counter or instance.leases[name].counter
        instance.settle()
        return True

    def release(self, name: str) -> bool:
        instance = self.of_lease(name)
        if instance is None:
            return False
        del instance.leases[name]
        if instance.leases:
            instance.settle()
        else:
            self.instances.remove(instance)
        return True

    def sweep(self) -> bool:
        """Returns whether an alarm is due."""
        lapsing = [
            instance
            for instance in self.instances
            if (instance.silent is None and not any(lease.beats for lease in instance.leases.values()))
            or (instance.silent is not None and instance.held is None and instance.is_over)
        ]
        going = [one for one in self.instances if one in lapsing or (one.silent is not None and one.silent < 3)]
        is_mass = bool(lapsing) and len(self.instances) >= 8 and 2 * len(going) > len(self.instances)
        alarm = is_mass and all(instance.held is None for instance in self.instances)
        for instance in going if is_mass else ():
            if instance.held is None:
                instance.held = Fraction(60)
        self.instances = [instance for instance in self.instances if not instance.is_over]
        for instance in self.instances:
            if any(lease.age < 10 for lease in instance.leases.values()):
                instance.leases = {name: lease for name, lease in instance.leases.items() if lease.age < 10}
            instance.settle()
        return alarm


class LeaseBookMachine(RuleBasedStateMachine):
    """Every verb in any order; what is listed, which leases there are and when the revision moves have to agree."""

    def __init__(self) -> None:
        super().__init__()
        self.book = LeaseBook()
        self.model = Model()
        self.now = 1000.0
        self.pauses = 0
        self.tokens: dict[int, int] = {}
        self.seen = (self.shown(), 0)

    def shown(self) -> list[tuple[int, int, int, bool, float]]:
        return [(one.address.port, one.order, one.version, one.active, one.weight) for one in self.book.instances]

    def token(self, port: int) -> int:
        return self.tokens.get(port, 1_000_000_000)

    def do_register(self, port: int, version: int, name: str, caller: str, signed: bool, counter: int = 0) -> None:
        given = ServiceInstance(SERVICE, Address("http", "h", port), version)
        lease = LeaseState(name, SERVICE, caller, signed, counter=counter)
        if self.model.register(port, version, name, caller, signed, counter):
            listed = self.book.register(given, lease, self.now)
            self.tokens[port] = listed.token
        else:
            with pytest.raises(RefusedError):
                self.book.register(given, lease, self.now)

    @initialize()
    def fill(self) -> None:
        """Start with enough instances for a mass silence."""
        for port in range(1, 10):
            self.do_register(port, 1, str(port), "10.0.0.1", False)

    @rule(
        port=PORTS,
        version=st.integers(1, 2),
        name=LEASES,
        caller=CALLERS,
        signed=st.booleans(),
        counter=COUNTERS,
    )
    def register(self, port: int, version: int, name: str, caller: str, signed: bool, counter: int) -> None:
        self.do_register(port, version, name, caller, signed, counter)

    @rule(name=LEASES, counter=COUNTERS)
    def renew(self, name: str, counter: int) -> None:
        if self.model.is_copy(name, counter):
            with pytest.raises(RefusedError):
                self.book.renew(name, SERVICE, self.now, counter=counter)
        else:
            assert self.book.renew(name, SERVICE, self.now, counter=counter) is self.model.renew(name, counter)

    @rule(name=LEASES, counter=COUNTERS)
    def release(self, name: str, counter: int) -> None:
        if self.model.is_copy(name, counter):
            with pytest.raises(RefusedError):
                self.book.release(name, SERVICE, self.now, counter=counter)
        else:
            assert self.book.release(name, SERVICE, self.now, counter=counter) is self.model.release(name)

    @rule(port=PORTS)
    def vouch(self, port: int) -> None:
        instance = self.model.at(port)
        if instance is not None:
            instance.vouched = Fraction(10)
        self.book.vouch(self.token(port), self.now)

    @rule(port=PORTS, draining=st.booleans())
    def drain(self, port: int, draining: bool) -> None:
        instance = self.model.at(port)
        if instance is not None:
            for lease in instance.leases.values():
                lease.draining = draining
            instance.settle()
        assert self.book.drain(self.token(port), self.now, draining=draining) is (instance is not None)

    @rule(caller=CALLERS)
    def leases_of(self, caller: str) -> None:
        states = self.book.leases_of(SERVICE, caller, self.now)
        assert {(lease.id, lease.signed, lease.active, lease.counter) for lease in states} == {
            (name, lease.signed, lease.beats, lease.counter)
            for instance in self.model.instances
            for name, lease in instance.leases.items()
            if lease.caller == caller
        }

    @rule(quarters=st.integers(1, 7))
    def wait(self, quarters: int) -> None:
        self.now += quarters / 4 + float(GRAIN)
        self.model.age(Fraction(quarters, 4) + GRAIN)
        # A look at the clock, as every verb takes one.
        self.book.vouch(0, self.now)

    @rule(steps=st.integers(1, 24), beating=st.sets(LEASES))
    def live(self, steps: int, beating: set[str]) -> None:
        for _ in range(steps):
            self.wait(2)
            for name in beating:
                self.renew(name, 0)
            self.sweep()

    # Five pauses of 0.8 would make a whole number of grains.
    @precondition(lambda self: self.pauses < 4)
    @rule(seconds=st.integers(2, 100))
    def stop(self, seconds: int) -> None:
        self.pauses += 1
        self.now += seconds
        self.model.age(Fraction(4, 5))
        self.book.vouch(0, self.now)

    @rule()
    def sweep(self) -> None:
        deadline, before = self.book.next_deadline(), self.shown()
        alarm = self.model.sweep()
        swept = self.book.sweep(self.now)
        assert swept.changed is (self.shown() != before or alarm)
        assert bool(swept.alarm) is alarm
        if deadline is None or self.now < deadline - 1e-6:
            assert not swept.changed

    @invariant()
    def the_book_says_what_the_model_says(self) -> None:
        assert self.shown() == [instance.shown for instance in self.model.instances]
        assert self.book.held == sum(instance.held is not None for instance in self.model.instances)

    @invariant()
    def the_revision_moves_exactly_with_what_is_listed(self) -> None:
        shown, counter = self.seen
        now_shown, now_counter = self.shown(), self.book.counter
        assert now_counter >= counter
        # One rule may make several changes that undo each other; then the revision has moved all the same.
        assert now_counter > counter or now_shown == shown
        self.seen = (now_shown, now_counter)

    @invariant()
    def tokens_are_unique(self) -> None:
        tokens = [one.token for one in self.book.instances]
        assert len(set(tokens)) == len(tokens)


LeaseBookMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestLeaseBook = LeaseBookMachine.TestCase
