"""Keeps an instance registered with one of its gateways, for as long as the node runs."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from secrets import token_urlsafe

from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.errors import ConfigurationError, HydraError
from hydra_asgi.ports import Clock, Prober, Upstream
from hydra_asgi.service.gateway_client import GatewayClient, Reply
from hydra_asgi.service.membership import Membership, MembershipLog
from hydra_asgi.service.reachable import until_reachable
from hydra_asgi.service.signer import Signer
from hydra_asgi.wire.announcement import registration_json
from hydra_asgi.wire.answer import parse_answer, parse_beat
from hydra_asgi.wire.drain import Drain, drain_json

__all__ = ["Registrar"]

_logger = logging.getLogger("hydra_asgi.service")

RETRY_SECONDS = 1.0
BEAT_SECONDS = 3.0
LEAVE_SECONDS = 1.0

JAVA_SECONDS = 15.0
"""A Java gateway answers 200 to a beat of a name it has forgotten (CONTRACT.md 1.4), so it is told again."""

GONE = 410
"""What a gateway answers to the beat of a lease that the store does not know."""

NO_SUCH_KEY = 404
"""What a gateway answers for a path key that is not its own: it looks like any path that is not there."""

Sleep = Callable[[float], Awaitable[object]]


class Registrar:
    """Registers with one gateway at a time: they share the directory, so one is enough.

    Args:
        instance: what to announce; asked again with every beat, and announced again when it has changed.
        gateways: base URLs, tried in turn.
        key: the path key.
        secret: signs the calls; `""` leaves them unsigned.
        upstream: sends the calls.
        prober: tells when the node's own address answers; before that a gateway could not connect back.
        on_overview: gets every new overview.
        clock: seconds that only move forward.
        sleep: waits.
        signer: instead of one made from `secret`.
        lease: the lease's name; random unless given.

    Raises:
        ConfigurationError: there is no gateway, or one is not a URL.
    """

    def __init__(
        self,
        instance: Callable[[], ServiceInstance],
        gateways: Sequence[str],
        key: str,
        secret: str,
        upstream: Upstream,
        prober: Prober,
        *,
        on_overview: Callable[[Overview], None],
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        signer: Signer | None = None,
        lease: str | None = None,
    ) -> None:
        if not gateways:
            raise ConfigurationError("gateways= is empty: name at least one gateway to register with")
        signing = Signer(secret) if signer is None else signer
        self._instance = instance
        self._gateways = [GatewayClient(url, key=key, signer=signing, upstream=upstream) for url in gateways]
        self._prober = prober
        self._on_overview = on_overview
        self._clock = clock
        self._sleep = sleep
        self._lease = token_urlsafe(18) if lease is None else lease
        self._log = MembershipLog(instance().service, clock)
        self._at = 0
        self._revision = ""
        self._announced: ServiceInstance | None = None
        self._is_java = False
        self._is_stale = False

    @property
    def state(self) -> Membership:
        """Whether we are registered, since when, and why not."""
        return self._log.state

    async def run(self) -> None:
        """Register and beat, for ever. Ends by cancellation; then call `unregister`."""
        await until_reachable(self._instance().address, self._prober, self._sleep, self._log.failed)
        while True:
            try:
                if await self._register():
                    await self._beat_until_lost()
                else:
                    await self._sleep(RETRY_SECONDS)
            except Exception:
                # Whatever a peer or our own hooks came up with: a node that stopped registering would be lost.
                _logger.exception("registering %s failed unexpectedly", self._instance().service)
                self._log.failed("unexpected error, see the log")
                await self._sleep(RETRY_SECONDS)

    async def unregister(self) -> None:
        """Leave at once, as far as the gateway answers within a second. A Java gateway knows no leaving."""
        if self.state.status == "registered" and not self._is_java:
            await self._last_call(self._gateway.leave(self._instance().service, self._lease))
        self._log.left()

    async def drain(self, *, draining: bool = True) -> bool:
        """Ask for no new users, or for them again. False: the gateway does not know how, or does not answer."""
        if self.state.status != "registered" or self._is_java:
            return False
        wish = Drain(self._instance().service, self.state.token, draining)
        return await self._last_call(self._gateway.drain(drain_json(wish), self._lease))

    @property
    def _gateway(self) -> GatewayClient:
        return self._gateways[self._at]

    async def _register(self) -> bool:
        """Try each gateway once, beginning with the one that listed us last."""
        error = ""
        for _ in self._gateways:
            error = await self._register_here()
            if not error:
                return True
            self._at = (self._at + 1) % len(self._gateways)
        self._log.failed(error)
        return False

    async def _register_here(self) -> str:
        """Register with the present gateway. Returns why it failed, `""` when it worked."""
        announced = self._instance()
        try:
            reply = await self._gateway.register(registration_json(announced, self._lease), self._lease)
        except HydraError as error:
            return f"{self._gateway.address}: {error}"
        if not reply.is_ok:
            hint = ": it has another key, or is no gateway" if reply.status == NO_SUCH_KEY else ""
            return f"{self._gateway.address} answered {reply.reason}{hint}"
        answer = parse_answer(reply.body)
        self._announced = announced
        self._is_java = not answer.is_hydra_asgi
        self._take(answer.overview)
        self._log.registered(str(self._gateway.address), answer.token)
        return ""

    async def _beat_until_lost(self) -> None:
        """Beat until something says that we have to register: a failure, a change, or a Java gateway's turn."""
        registered_at = self._clock()
        self._is_stale = False
        while True:
            # A beat that did not reach the store is made up for before others take us for silent.
            await self._sleep(RETRY_SECONDS if self._is_stale else BEAT_SECONDS)
            has_changed = self._instance() != self._announced
            is_due = self._is_java and self._clock() - registered_at >= JAVA_SECONDS
            if has_changed or is_due:
                return
            error = await self._beat()
            if error:
                self._log.failed(error)
                return

    async def _beat(self) -> str:
        """Beat at the gateway that lists us; why that failed, `""` when it worked."""
        try:
            reply = await self._gateway.beat(self._instance().service, self._lease, self._revision)
        except HydraError as error:
            return f"{self._gateway.address}: {error}"
        if not reply.is_ok:
            return f"{self._gateway.address} answered {reply.reason}"
        beat = parse_beat(reply.body)
        self._take(beat.overview)
        self._is_stale = beat.is_stale and not await self._finds_a_way_to_the_store()
        return ""

    async def _finds_a_way_to_the_store(self) -> bool:
        """Our gateway cannot renew the lease where others see it; another one may. None can: all is as it was."""
        for at in (*range(self._at + 1, len(self._gateways)), *range(self._at)):
            if await self._is_renewed_at(at):
                return True
        return False

    async def _is_renewed_at(self, at: int) -> bool:
        gateway, before = self._gateways[at], self._at
        try:
            reply = await gateway.beat(self._instance().service, self._lease, self._revision)
        except HydraError:
            return False
        if reply.is_ok and not (beat := parse_beat(reply.body)).is_stale:
            self._at = at
            self._take(beat.overview)
            self._log.registered(str(gateway.address), 0)
            return True
        if reply.status != GONE:
            return False
        self._at = at
        if not await self._register_here():
            return True
        self._at = before
        return False

    def _take(self, overview: Overview | None) -> None:
        if overview is not None and overview.revision != self._revision:
            self._revision = overview.revision
            self._on_overview(overview)

    async def _last_call(self, call: Awaitable[Reply]) -> bool:
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                reply = await call
        except (HydraError, TimeoutError) as error:
            _logger.info("%s did not answer the farewell: %s", self._gateway.address, error)
            return False
        return reply.is_ok
