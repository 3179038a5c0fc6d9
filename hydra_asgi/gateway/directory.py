"""What a node knows: it follows the store in the background, and requests read the result without waiting.

Rules for whoever edits this: `state` is one reference to an immutable value and is replaced whole. A store that does
not answer, or answers nonsense, leaves it as it is.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from hydra_asgi.core.directory.departed import Departed
from hydra_asgi.core.directory.directory_state import DirectoryState, LocalApp, build_state
from hydra_asgi.core.directory.lease_times import BEAT_SECONDS, HELD_SECONDS, SWEEP_SECONDS
from hydra_asgi.core.directory.recovery import Recovery
from hydra_asgi.core.directory.rest_times import rest_times
from hydra_asgi.core.instance import ServiceInstance, Snapshot
from hydra_asgi.errors import StoreError
from hydra_asgi.gateway.directory_health import DirectoryHealth, Health
from hydra_asgi.ports import Clock, Store

__all__ = ["Directory", "Health"]

_logger = logging.getLogger("hydra_asgi.directory")

BIG = 200
"""So many instances and routes are compiled on the loop, in a millisecond or two. More of them are in a thread, because
nobody can tell beforehand how much of them has changed."""

MANY = 5
"""When so many instances came or went with one rebuild, more are on their way; see `rest_times`."""

STORE_PATIENCE_SECONDS = 2.0
"""A poll that takes longer has failed. Stores have shorter timeouts of their own; this one is for those that hang."""

MASS_SILENCE = (
    f"most instances went silent at once; they stay listed as inactive for at most {HELD_SECONDS:g} s. If they are "
    "well, look at the way from them to the directory"
)
"""Said at every node that reads it in the store, not only where it was found out. Without a number that would change
with each beat that comes back."""

BREATH_SECONDS = 0.000_05
"""As short as a system can sleep."""

MAX_REPORTED = 20
"""How many new problems with routes one change may write to the log."""

Listener = Callable[[DirectoryState], None]


class Directory:
    """The node's copy of the directory, and the loop that keeps it fresh.

    Args:
        store: where the directory is kept.
        clock: seconds that only move forward.
        rng: gives numbers from 0 to 1, for the jitter.
        local: the mounted app's own instance; always part of the table, also when the store does not list it.
        first_load_seconds: how long after the start an unknown route may still be announced: one beat, so that every
            living service was heard; 0 for none.
        is_shared: others keep the store too, so an instance that it lists was heard while this node was away.
        poll_seconds: how often the store is asked for its revision: with 0.8 a change is everywhere within a second.
        store_patience: seconds after which a poll has failed.
        on_health: called when trouble with the store begins and when it ends. Must not raise.

    Attributes:
        state: what is known now. Read it once per request and keep what was read.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock = time.monotonic,
        rng: Callable[[], float] = random.random,
        local: Callable[[], LocalApp | None] = lambda: None,
        first_load_seconds: float = BEAT_SECONDS,
        is_shared: bool = False,
        poll_seconds: float = SWEEP_SECONDS,
        store_patience: float = STORE_PATIENCE_SECONDS,
        on_health: Callable[[], None] = lambda: None,
    ) -> None:
        self.state = DirectoryState()
        self._store = store
        self._clock = clock
        self._rng = rng
        self._local = local
        self._poll_seconds = poll_seconds
        self._store_patience = store_patience
        self._is_shared = is_shared
        self._health = DirectoryHealth(clock, first_load_seconds, on_health)
        self._recovery = Recovery()
        self._departed = Departed()
        self._own: LocalApp | None = None
        self._is_stale = False
        self._build_seconds = 0.0
        self._is_crowded = False
        self._vouched: set[int] = set()
        self._listeners: dict[object, Listener] = {}
        self._one_at_a_time = asyncio.Lock()
        self._wake = asyncio.Event()

    @property
    def health(self) -> Health:
        """How well the directory is known now."""
        return self._health.now

    @property
    def age(self) -> float:
        """Seconds since the store last confirmed what is known."""
        return self._health.age

    @property
    def health_lasts(self) -> float:
        """Seconds since the present health began."""
        return self._health.lasts

    def expect(self, instances: Iterable[ServiceInstance]) -> None:
        """Answer "not now" for the routes of these instead of "no such page", while they are not listed."""
        self._departed.expect(instances)
        self._is_stale = True

    @property
    def is_starting(self) -> bool:
        """An unmatched path is to be answered 503, not 404: its service may not have been heard yet."""
        return self._health.is_starting

    def vouch(self, token: int) -> None:
        """An instance answered a request although it is inactive. Told to the store with the next poll, once."""
        self._vouched.add(token)

    def note_change(self, why: str) -> None:
        """The store was given something to keep; `why` it did not keep it, "" when it did."""
        self._health.note_change(why)

    def on_update(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each new state, on the loop. Returns the call that ends it."""
        subscription = object()
        self._listeners[subscription] = listener

        def end() -> None:
            self._listeners.pop(subscription, None)

        return end

    async def recall(self, snapshot: Snapshot) -> None:
        """Begin with what this node knew in a former life, until the store has answered."""
        async with self._one_at_a_time:
            self._recovery.recall(snapshot)
            self._health.recall()
            self._own = self._local()
            await self._rebuild()
        self._tell()

    async def run(self) -> None:
        """Follow the store until cancelled."""
        end = self._store.on_change(self._wake.set)
        try:
            while True:
                self._wake.clear()
                await self._poll()
                await self._rest()
        finally:
            end()

    async def refresh(self) -> bool:
        """Ask the store once, and replace the state if anything changed; whether it did.

        A store that fails is noted in `health` and changes nothing.
        """
        async with self._one_at_a_time:
            self._health.start()
            trouble = await self._ask_store()
            own = self._local()
            if own != self._own:
                self._own, self._is_stale = own, True
            is_changed = self._is_stale or self._departed.is_due(self._clock())
            if is_changed:
                await self._rebuild()
            if trouble:
                self._health.fail(trouble)
            else:
                self._health.heal()
        if is_changed:
            self._tell()
        return is_changed

    async def _ask_store(self) -> str:
        """Take what the store has to say; why that is not the whole truth, or ""."""
        try:
            async with asyncio.timeout(self._store_patience):
                revision = await self._store.revision()
                if revision == self._recovery.revision:
                    self._is_stale |= self._recovery.expire(self._clock())
                else:
                    snapshot = await self._store.snapshot()
                    if self._is_shared and any(one.active for one in snapshot.instances):
                        self._health.note_whole()
                    self._recovery.adopt(snapshot, self._clock())
                    self._is_stale = True
        except StoreError as error:
            return f"the store failed: {error}"
        except TimeoutError:
            return f"the store did not answer within {self._store_patience:g} s"
        if self._recovery.is_recovering:
            return "the store lost its entries; what was not announced again yet is kept for a while"
        if self._recovery.snapshot.held:
            return MASS_SILENCE
        return ""

    async def _rebuild(self) -> None:
        began = self._clock()
        before, snapshot = self.state, self._recovery.snapshot
        if sum(1 + len(instance.routes) for instance in snapshot.instances) > BIG:
            self.state = await asyncio.to_thread(self._compile, began, _let_the_loop_run)
        else:
            self.state = self._compile(began)
        # Only now: a build that failed is tried again with the next poll.
        self._is_stale = False
        self._build_seconds = self._clock() - began
        self._is_crowded = abs(len(snapshot.instances) - len(before.snapshot.instances)) >= MANY
        _report(before, self.state)

    def _compile(self, now: float, breathe: Callable[[], object] = lambda: None) -> DirectoryState:
        """The next state. Runs in a thread, one at a time; nothing that it reads changes meanwhile."""
        before, snapshot = self.state, self._recovery.snapshot
        self._departed.note(before.snapshot, snapshot, now)
        return build_state(snapshot, self._departed.prune(now), self._own, before=before, breathe=breathe)

    def _tell(self) -> None:
        for listener in tuple(self._listeners.values()):
            try:
                listener(self.state)
            except Exception:
                _logger.exception("a listener of the directory failed: %r", listener)

    async def _poll(self) -> None:
        """One round with the store; whatever goes wrong in it is not the end."""
        try:
            await self._send_vouches()
        except Exception:
            _logger.exception("vouching for silent instances failed")
        try:
            await self.refresh()
        except Exception as error:
            # With its trace the first time only: this comes again every second until somebody acts.
            if self._health.fail(f"{type(error).__name__}: {error}"[:200]):
                _logger.exception("the directory could not be refreshed")

    async def _send_vouches(self) -> None:
        # Not a loop over the set: what requests add meanwhile waits for the next poll.
        waiting = list(self._vouched)
        self._vouched.clear()
        try:
            async with asyncio.timeout(self._store_patience):
                while waiting:
                    await self._store.vouch(waiting[-1])
                    waiting.pop()
        except (StoreError, TimeoutError):
            self._vouched.update(waiting)

    async def _rest(self) -> None:
        """Wait for the next poll: a period with jitter, or less when the store wakes us."""
        still, listening = rest_times(self._poll_seconds, self._rng(), self._build_seconds, is_crowded=self._is_crowded)
        await asyncio.sleep(still)
        with suppress(TimeoutError):
            async with asyncio.timeout(listening):
                await self._wake.wait()


def _let_the_loop_run() -> None:
    """Give the interpreter's lock away for a moment: else the loop waits for it 5 ms, at each step of each request."""
    time.sleep(BREATH_SECONDS)


def _report(before: DirectoryState, after: DirectoryState) -> None:
    """Name routes that could not be taken in, and routes that two services claim, once each."""
    known: set[object] = {*before.table.skipped, *before.table.conflicts}
    fresh = [problem for problem in (*after.table.skipped, *after.table.conflicts) if problem not in known]
    for problem in fresh[:MAX_REPORTED]:
        _logger.warning("a route of the directory: %s", problem)
    if len(fresh) > MAX_REPORTED:
        _logger.warning("%d more routes have problems", len(fresh) - MAX_REPORTED)
