"""Two processes on one file against the lease book in one memory: whatever is asked, the answers are equal."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hydra_asgi.backends.sqlite_store.database import Database
from hydra_asgi.backends.sqlite_store.ledger import Ledger
from hydra_asgi.core.admission.nonces import Nonces
from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.directory.leases import LeaseBook
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import RefusedError

PORTS = st.integers(1, 10)
LEASES = st.integers(1, 12).map(str)
SERVICES = st.sampled_from(["orders", "orders", "orders", "shop"])
CALLERS = st.sampled_from(["10.0.0.1", "10.0.0.2"])
COUNTERS = st.sampled_from([0, 0, 0, 1, 2, 3])
GRAIN = Fraction(1, 1024)
"""Whole parts of a power of two: sums of floats are exact, whoever adds them in whichever order."""


def answer(ask: Callable[[], object]) -> object:
    """What was answered, or the refusal."""
    try:
        return ask()
    except RefusedError as refused:
        return (refused.status, refused.reason)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.now = Fraction(5000)
        self.book = LeaseBook()
        self.nonces = Nonces()

    @initialize()
    def start(self) -> None:
        file = str(Path(self.folder.name) / "site.db")
        self.ledgers = [Ledger(Database(file), lambda: float(self.now), "m") for _ in range(2)]
        self.turn = 0
        self.epoch = self.ledger.look().epoch
        self.book.sweep(float(self.now))

    @property
    def ledger(self) -> Ledger:
        """The processes take turns, so each meets what the other has left."""
        self.turn += 1
        return self.ledgers[self.turn % 2]

    def both(self, of_ledger: Callable[[], object], of_book: Callable[[], object]) -> None:
        assert answer(of_ledger) == answer(of_book)

    @rule(
        port=PORTS,
        name=LEASES,
        service=SERVICES,
        caller=CALLERS,
        signed=st.booleans(),
        counter=COUNTERS,
        weight=st.sampled_from([0.0, 10.0]),
        version=st.integers(0, 2),
        since=st.integers(0, 2),
    )
    def register(
        self,
        port: int,
        name: str,
        service: str,
        caller: str,
        signed: bool,
        counter: int,
        weight: float,
        version: int,
        since: int,
    ) -> None:
        instance = ServiceInstance(
            service, Address("http", "10.0.0.1", port), version, weight, (Route("/o"),), active_since=since
        )
        lease = LeaseState(name, service, caller, signed, counter=counter)
        self.both(
            lambda: self.ledger.register(instance, lease),
            lambda: self.book.register(instance, lease, float(self.now)),
        )

    @rule(name=LEASES, service=SERVICES, counter=COUNTERS)
    def renew(self, name: str, service: str, counter: int) -> None:
        self.both(
            lambda: self.ledger.renew(name, service, counter),
            lambda: self.book.renew(name, service, float(self.now), counter=counter),
        )

    @rule(name=LEASES, service=SERVICES, counter=COUNTERS)
    def release(self, name: str, service: str, counter: int) -> None:
        self.both(
            lambda: self.ledger.release(name, service, counter),
            lambda: self.book.release(name, service, float(self.now), counter=counter),
        )

    @rule(place=st.integers(0, 9), draining=st.booleans())
    def drain(self, place: int, draining: bool) -> None:
        token = self.token(place)
        self.both(
            lambda: self.ledger.drain(token, draining),
            lambda: self.book.drain(token, float(self.now), draining=draining),
        )

    @rule(place=st.integers(0, 9))
    def vouch(self, place: int) -> None:
        token = self.token(place)
        self.both(lambda: self.ledger.vouch(token), lambda: self.book.vouch(token, float(self.now)))

    @rule(service=SERVICES, share=st.integers(0, 2), empty=st.booleans())
    def configure(self, service: str, share: int, empty: bool) -> None:
        given = None if empty else ServiceSettings({1: share} if share else {})
        self.ledger.configure(service, given)
        self.book.configure(service, given)

    @rule(nonce=st.sampled_from("abc"), seconds=st.integers(1, 5))
    def first_use(self, nonce: str, seconds: int) -> None:
        self.both(
            lambda: self.ledger.first_use(nonce, seconds),
            lambda: self.nonces.first_use(nonce, seconds, float(self.now)),
        )

    @rule(pieces=st.lists(st.integers(1, 900), min_size=1, max_size=12))
    def live(self, pieces: list[int]) -> None:
        """Time passes, and both are looked at often enough."""
        for piece in pieces:
            self.now += piece * GRAIN
            ledger = self.ledger
            revision, swept = ledger.look(), self.book.sweep(float(self.now))
            alarms, ledger.alarms = ledger.alarms, []
            assert alarms == ([swept.alarm] if swept.alarm else [])
            assert revision.counter == self.book.counter

    @invariant()
    def the_same_is_listed(self) -> None:
        if not hasattr(self, "ledgers"):
            return
        self.book.sweep(float(self.now))
        for ledger in self.ledgers:
            snapshot = ledger.snapshot()
            assert snapshot.instances == self.book.instances
            assert snapshot.settings == self.book.settings
            assert snapshot.held == self.book.held
            assert (snapshot.revision.epoch, snapshot.revision.counter) == (self.epoch, self.book.counter)
            ledger.alarms.clear()
        for caller in ("10.0.0.1", "10.0.0.2"):
            states = self.ledger.leases_of("orders", caller)
            expected = self.book.leases_of("orders", caller, float(self.now))
            assert sorted(states, key=lambda state: state.id) == sorted(expected, key=lambda state: state.id)

    def token(self, place: int) -> int:
        instances = self.book.instances
        return instances[place % len(instances)].token if instances else 1_000_000_007

    def teardown(self) -> None:
        for ledger in getattr(self, "ledgers", []):
            ledger.close()
        self.folder.cleanup()


LedgerMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestLedger = LedgerMachine.TestCase
