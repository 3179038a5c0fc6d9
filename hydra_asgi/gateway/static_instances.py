"""Keeps instances listed that do not register themselves: beats for them, checks them, follows their names in DNS."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from secrets import token_urlsafe
from typing import Protocol

from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.errors import HydraError, UpstreamError
from hydra_asgi.ports import Clock, LeaseState, Prober, Store, Timeouts, Upstream, UpstreamRequest

__all__ = ["StaticInstances", "Tended"]

BEAT_SECONDS = 3.0
"""What everybody else beats with, so that an instance that fails is silent after the same time."""

RESOLVE_SECONDS = 30.0
"""How old a look-up of a host name may get; what a resolver gives rarely changes faster."""

CHECK_SECONDS = 2.0
"""How long a health check may take: less than a beat, so that checks never pile up."""

STORE_SECONDS = 2.0
LEAVE_SECONDS = 1.0

_logger = logging.getLogger("hydra_asgi.static")


class Tended(Protocol):
    """One instance to be kept; a value."""

    @property
    def instance(self) -> ServiceInstance:
        """What is listed."""
        ...

    @property
    def health(self) -> str:
        """The path to ask, below the base path; empty: none."""
        ...


class _Kept:
    """What is known about one of them from round to round."""

    def __init__(self, tended: Tended) -> None:
        self.tended = tended
        self.lease = token_urlsafe(18)
        self.is_listed = False
        self.pinned = ""
        self.resolved_at: float | None = None
        self.trouble = ""


class StaticInstances:
    """Keeps the leases of instances for as long as it runs.

    Every gateway that knows an instance holds a lease of its own, so it stays while one of them is there.

    Args:
        store: where they are listed.
        upstream: carries health checks.
        prober: resolves host names.
        on_change: is told which instances are kept from now on, whether they are well or not.
        clock: seconds that only move forward.
        sleep: waits.
    """

    def __init__(
        self,
        store: Store,
        upstream: Upstream,
        prober: Prober,
        instances: Sequence[Tended] = (),
        *,
        on_change: Callable[[Sequence[ServiceInstance]], None] = lambda instances: None,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._upstream = upstream
        self._prober = prober
        self._clock = clock
        self._sleep = sleep
        self._on_change = on_change
        self._kept = [_Kept(tended) for tended in instances]
        self._one_at_a_time = asyncio.Lock()
        on_change([tended.instance for tended in instances])

    async def run(self) -> None:
        """Tend to them until cancelled; then call `leave`."""
        while True:
            await self._sleep(BEAT_SECONDS)
            await self.tend()

    async def tend(self) -> None:
        """Look after each of them once, all at the same time. Never raises for what is wrong with one."""
        async with self._one_at_a_time:
            await asyncio.gather(*(self._look_after(kept) for kept in self._kept))

    async def swap(self, instances: Sequence[Tended]) -> None:
        """Keep these instead; those that stay the same keep their lease and their health."""
        async with self._one_at_a_time:
            left = list(self._kept)
            kept: list[_Kept] = []
            for tended in instances:
                same = next((one for one in left if one.tended.instance.key == tended.instance.key), None)
                if same is None:
                    kept.append(_Kept(tended))
                    continue
                left.remove(same)
                if same.tended != tended:
                    same.tended, same.is_listed = tended, False  # announced anew under its lease
                kept.append(same)
            self._kept = kept
            self._on_change([tended.instance for tended in instances])
            await asyncio.gather(*(self._release(one) for one in left))
        await self.tend()

    async def leave(self) -> None:
        """End the leases, as far as the store answers within a second."""
        await asyncio.gather(*(self._release(kept) for kept in self._kept))

    async def _look_after(self, kept: _Kept) -> None:
        trouble = ""
        try:
            trouble = await self._resolve(kept) or await self._why_ill(kept)
            if not trouble:
                async with asyncio.timeout(STORE_SECONDS):
                    await self._renew(kept)
        except TimeoutError:
            trouble = f"the store did not answer within {STORE_SECONDS:g} s"
        except HydraError as error:
            trouble = str(error)
        except Exception:
            # One that cannot be tended may not take the others along.
            _logger.exception("tending %s failed unexpectedly", kept.tended.instance.address)
            return
        self._tell(kept, trouble)

    async def _renew(self, kept: _Kept) -> None:
        instance = kept.tended.instance
        if kept.is_listed and await self._store.renew(kept.lease, instance.service):
            return
        address = replace(instance.address, pinned=kept.pinned)
        # The operator named it: nobody who registers without a signature may take its place.
        lease = LeaseState(kept.lease, instance.service, address.pinned, signed=True)
        await self._store.register(replace(instance, address=address), lease)
        kept.is_listed = True

    async def _resolve(self, kept: _Kept) -> str:
        """Bring the IP address up to date; why there is none.

        The one in use stays while the name still leads to it among others, so that connections are kept. A name that
        does not resolve for a while keeps it too: resolvers fail more often than boxes move.
        """
        now = self._clock()
        if kept.resolved_at is not None and now - kept.resolved_at < RESOLVE_SECONDS:
            return ""
        host = kept.tended.instance.address.host
        found = await self._prober.resolve(host)
        if found:
            kept.resolved_at = now
            if kept.pinned not in found:
                kept.pinned, kept.is_listed = found[0], False
        return "" if kept.pinned else f"the host {host[:80]!r} does not resolve"

    async def _why_ill(self, kept: _Kept) -> str:
        health, address = kept.tended.health, replace(kept.tended.instance.address, pinned=kept.pinned)
        if not health:
            return ""
        fields = [(b"host", address.netloc.encode("ascii", "replace")), (b"accept", b"*/*")]
        timeouts = Timeouts(connect=CHECK_SECONDS / 2, first_byte=CHECK_SECONDS, idle=CHECK_SECONDS)
        target = (address.base + health).encode("ascii", "replace")
        request = UpstreamRequest(address, "GET", target, fields, timeouts=timeouts)
        try:
            async with asyncio.timeout(CHECK_SECONDS), await self._upstream.send(request) as response:
                return "" if 200 <= response.status < 400 else f"{health} answered {response.status}"
        except TimeoutError:
            return f"{health} did not answer within {CHECK_SECONDS:g} s"
        except UpstreamError as error:
            return f"{health}: {error}"

    async def _release(self, kept: _Kept) -> None:
        if not kept.is_listed:
            return
        kept.is_listed = False
        instance = kept.tended.instance
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._store.release(kept.lease, instance.service)
        except (HydraError, TimeoutError) as error:
            _logger.info("the store did not answer the farewell of %s: %s", instance.address, error)

    def _tell(self, kept: _Kept, trouble: str) -> None:
        """Say when it begins to be in trouble, in another one, and when that is over."""
        if trouble == kept.trouble:
            return
        service, where = kept.tended.instance.service, kept.tended.instance.address
        if trouble:
            shown = "".join(letter if letter.isprintable() else "?" for letter in trouble[:300])
            _logger.warning("static instance of %s at %s gets no beats: %s", service, where, shown)
        else:
            _logger.info("static instance of %s at %s is well again", service, where)
        kept.trouble = trouble
