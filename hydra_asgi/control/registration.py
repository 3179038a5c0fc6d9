"""The registration desk: services join, beat, drain and leave (CONTRACT.md 1.1 to 1.5).

Its handlers answer when all is well and raise `RefusedError` or `StoreError` otherwise; the plane turns those into
answers. Nothing of a refused call is kept.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

from hydra_asgi.control.address_check import AddressCheck
from hydra_asgi.control.body import read_body
from hydra_asgi.control.first_use import FirstUse
from hydra_asgi.control.guard import Caller, Guard, header_of
from hydra_asgi.control.known_beats import KnownBeats
from hydra_asgi.control.name_rules import NameRules
from hydra_asgi.control.reply import reply, reply_json
from hydra_asgi.control.store_time import STORE_SECONDS, StoreTime
from hydra_asgi.core.admission.allowance import Allowance
from hydra_asgi.core.admission.recent import Recent
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.events import RegistrationRecord
from hydra_asgi.core.instance import Dialect, ServiceInstance
from hydra_asgi.core.service_name import ServiceNameError, check_service_name
from hydra_asgi.errors import RefusedError, StoreError
from hydra_asgi.ports import Clock, Hook, LeaseState, Store
from hydra_asgi.wire.answer import AnswerWriter
from hydra_asgi.wire.drain import parse_drain
from hydra_asgi.wire.registration import Registration, parse_registration

__all__ = ["RegistrationDesk"]

BEATS_PER_SECOND = 10.0
BURST = 20.0
"""A healthy instance beats every 3 s; 20 leaves room for everything but a loop that went wild."""

AT_ONCE = 4
"""When a whole site starts, a thousand registrations arrive in one moment. Those beyond wait in line, so that pages are
served in between, each turn of the loop doing no more than four steps of this, and so that the store's time to answer
does not run while we are busy with others. Four are enough to keep a store busy."""

QUICK_SECONDS = 0.5
"""Connecting back takes a millisecond or two, and some tens on a busy machine. Who makes us wait for longer gives up
the place and does not keep others waiting."""

LINE_SECONDS = 1.0
"""Who has waited so long is sent away. A service waits two seconds for an answer: work for one that is gone by then
would be done again and again, while the line never gets shorter."""

MAX_REMEMBERED = 50_000
NAME_LIMIT = 256
MEDUSA = "medusa:"

T = TypeVar("T")


class RegistrationDesk:
    """Takes the calls of services.

    Args:
        store: the shared directory.
        guard: who may call.
        addresses: where requests may be sent.
        overview: the directory as this gateway sees it now.
        service_limits: service -> path prefixes; its routes must lie under one of them, by whole segments. A service
            that is absent may publish anything that is not ours.
        clock: seconds that only move forward.
        store_seconds: how long the store may take for all that one call asks of it.
        tell: is told about calls that were granted.
        on_change: is told whenever the store was given something to keep: why it did not, "" when it did.
        is_listed: whether the last known directory lists an instance of a service at an IP address.
        on_lost: is told service, IP address and lease of whoever was accepted here and is unknown a moment later.
    """

    def __init__(
        self,
        store: Store,
        guard: Guard,
        addresses: AddressCheck,
        *,
        overview: Callable[[], Overview],
        service_limits: Mapping[str, Sequence[str]] | None = None,
        clock: Clock = time.monotonic,
        store_seconds: float = STORE_SECONDS,
        tell: Hook = lambda event, /: None,
        on_change: Callable[[str], None] = lambda why: None,
        is_listed: Callable[[str, str], bool] = lambda service, ip: False,
        on_lost: Callable[[str, str, str], None] = lambda service, ip, lease: None,
    ) -> None:
        self._store = store
        self._guard = guard
        self._addresses = addresses
        self._overview = overview
        self._clock = clock
        self._store_seconds = store_seconds
        self._tell = tell
        self._on_change = on_change
        self._first_use = FirstUse(store)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._answers = AnswerWriter()
        self._beats = KnownBeats(clock, is_listed, on_lost)
        self._allowances: Recent[tuple[str, str], Allowance] = Recent(
            seconds=BURST / BEATS_PER_SECOND, size=MAX_REMEMBERED
        )
        self._names = NameRules(overview, service_limits, clock)

    async def register(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """C1: list an instance, or replace what was listed."""
        _require_json(scope)
        body = await read_body(receive)
        async with self._a_place() as leave_it:
            registration = parse_registration(body)
            within = StoreTime(self._store_seconds)
            caller = await self._admit(scope, body, registration.instance.service, within)
            asyncio.get_running_loop().call_later(QUICK_SECONDS, leave_it)
            listed = await self._list(registration, caller, _listener(scope), within)
        self._tell(RegistrationRecord("register", listed.service, listed.version, listed.address.netloc, 200))
        await reply(send, 200, self._answers.registration(listed.token, self._overview()))

    async def beat(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """C2: renew a lease. The body is the service's name as plain text, of any content type."""
        body = await read_body(receive, NAME_LIMIT)
        service, within = _maybe_name(body), StoreTime(self._store_seconds)
        caller = await self._admit(scope, body, service, within)
        if service is None:
            raise RefusedError(410, f"no service is called {body[:80]!r}; register again")
        self._spend(service, caller)
        if caller.lease:
            is_stale = not await self._renew_known(service, caller, within)
            known = header_of(scope, b"hydra-revision") or b""
            await reply(send, 200, self._answers.beat(self._overview(), known.decode("latin-1"), is_stale=is_stale))
        else:
            await self._renew_medusa(service, caller, within)
            await reply(send, 200, b"true")
        self._tell(RegistrationRecord("beat", service, None, "", 200))

    async def leave(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """End a lease at once. The body is the service's name."""
        body = await read_body(receive, NAME_LIMIT)
        service, within = _maybe_name(body), StoreTime(self._store_seconds)
        caller = await self._admit(scope, body, service, within)
        if service is None or not caller.lease:
            raise RefusedError(400, "name the service in the body and the lease in Hydra-Instance")
        await self._check_unsigned(service, caller, within)
        if not await self._change(self._store.release(caller.lease, service, counter=caller.counter), within):
            raise _unknown(service, caller)
        self._tell(RegistrationRecord("leave", service, None, "", 200))
        await reply_json(send, 200, True)

    async def drain(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Take an instance out of the choice for new users, or put it back."""
        _require_json(scope)
        body = await read_body(receive, NAME_LIMIT)
        drain, within = parse_drain(body), StoreTime(self._store_seconds)
        caller = await self._admit(scope, body, drain.service, within)
        if not caller.lease:
            raise RefusedError(400, "name the lease in Hydra-Instance")
        await self._renew(drain.service, caller, within)
        snapshot = await within(self._store.snapshot())
        is_theirs = any(one.token == drain.token and one.service == drain.service for one in snapshot.instances)
        if not is_theirs or not await self._change(self._store.drain(drain.token, draining=drain.draining), within):
            raise RefusedError(410, f"{drain.service!r} has no instance {drain.token}; register again")
        self._tell(RegistrationRecord("drain", drain.service, None, "", 200))
        await reply_json(send, 200, True)

    async def _list(
        self, registration: Registration, caller: Caller, listener: tuple[str, int] | None, within: StoreTime
    ) -> ServiceInstance:
        announced = registration.instance
        if caller.lease and caller.lease != registration.lease:
            raise RefusedError(422, "Hydra-Instance and hydraAsgi.lease name different leases")
        self._names.check(announced)
        instance = replace(announced, address=await self._addresses(announced.address, caller.ip, listener))
        lease = LeaseState(registration.lease, instance.service, caller.ip, caller.signed, counter=caller.counter)
        listed = await self._change(self._store.register(instance, lease), within)
        self._names.take(instance.service)
        self._beats.note(instance.service, caller.ip, "" if instance.dialect is Dialect.MEDUSA else lease.id)
        return listed

    @contextlib.asynccontextmanager
    async def _a_place(self) -> AsyncIterator[Callable[[], None]]:
        """A place among those who are dealt with; gives the call that leaves it before the end, once or more often."""
        try:
            async with asyncio.timeout(LINE_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            raise RefusedError(503, "too many services register at once; try again in a second") from None
        place = contextlib.ExitStack()
        place.callback(self._places.release)
        with place:
            yield place.close

    async def _admit(self, scope: HTTPScope, body: bytes, service: str | None, within: StoreTime) -> Caller:
        caller = self._guard.admit(scope, body, service=service)
        await self._first_use(caller, within)
        return caller

    async def _renew(self, service: str, caller: Caller, within: StoreTime) -> None:
        await self._check_unsigned(service, caller, within)
        if not await self._change(self._store.renew(caller.lease, service, counter=caller.counter), within):
            raise self._lost(service, caller)
        self._beats.note(service, caller.ip, caller.lease)

    async def _renew_known(self, service: str, caller: Caller, within: StoreTime) -> bool:
        """Renew a lease; False: the store is away, and would know it. The node may have another way to the store."""
        try:
            await self._renew(service, caller, within)
        except StoreError:
            if not self._beats.is_known(service, caller.ip, caller.lease):
                raise
            return False
        return True

    async def _renew_medusa(self, service: str, caller: Caller, within: StoreTime) -> None:
        """A Medusa's beat carries its service's name alone, so it is attributed by the caller's IP address.

        When two instances share both, none is renewed: each is asked to register again, which names it (CONTRACT.md
        section 6, row 45).
        """
        try:
            leases = await within(self._store.leases_of(service, caller.ip))
            theirs = [lease for lease in leases if lease.id.startswith(MEDUSA)]
            is_renewed = len(theirs) == 1 and await self._change(self._store.renew(theirs[0].id, service), within)
        except StoreError:
            if not self._beats.is_known(service, caller.ip):
                raise
            return
        if not is_renewed:
            raise self._lost(service, caller)
        self._beats.note(service, caller.ip)

    async def _check_unsigned(self, service: str, caller: Caller, within: StoreTime) -> None:
        """An unsigned call never touches a signed lease, nor one that was announced from elsewhere."""
        if caller.signed:
            return
        leases = await within(self._store.leases_of(service, caller.ip))
        lease = next((lease for lease in leases if lease.id == caller.lease), None)
        if lease is None:
            raise self._lost(service, caller)
        if lease.signed:
            raise RefusedError(403, "the lease was announced with a signature; sign this call too")

    def _lost(self, service: str, caller: Caller) -> RefusedError:
        self._beats.forget(service, caller.ip, caller.lease)
        return _unknown(service, caller)

    def _spend(self, service: str, caller: Caller) -> None:
        now = self._clock()
        who = (caller.lease or caller.ip, service)
        before = self._allowances.get(who, now) or Allowance(BURST, now)
        after = before.spend(now, rate=BEATS_PER_SECOND, burst=BURST)
        if after is None:
            raise RefusedError(429, f"more than {BEATS_PER_SECOND:g} beats a second")
        self._allowances.put(who, after, now)

    async def _change(self, call: Awaitable[T], within: StoreTime) -> T:
        """Ask for a change. A refusal has to do with the caller: the store itself is well."""
        try:
            changed = await within(call)
        except StoreError as error:
            self._on_change(str(error))
            raise
        self._on_change("")
        return changed


def _listener(scope: HTTPScope) -> tuple[str, int] | None:
    """Where the call came in, None for a Unix socket or when the server does not say."""
    server = scope.get("server")
    return (str(server[0]), server[1]) if server and server[1] else None


def _unknown(service: str, caller: Caller) -> RefusedError:
    what = f"the lease {caller.lease!r}" if caller.lease else f"a single instance at {caller.ip or 'this address'}"
    return RefusedError(410, f"{service!r} is not registered with {what}; register again")


def _maybe_name(body: bytes) -> str | None:
    try:
        return check_service_name(body.decode())
    except (UnicodeDecodeError, ServiceNameError):
        return None


def _require_json(scope: HTTPScope) -> None:
    """Only JSON, and not compressed: a page cannot send that without asking first, and nothing has to be unpacked."""
    content_type = (header_of(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if content_type != b"application/json":
        raise RefusedError(415, f"the content type {content_type[:80]!r} is not application/json")
    if (header_of(scope, b"content-encoding") or b"identity").strip().lower() != b"identity":
        raise RefusedError(415, "a compressed body is not read")
