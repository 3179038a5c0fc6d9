"""`RedisStore`: one directory for any number of nodes on any number of machines."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from secrets import token_hex
from typing import Any

from redis import exceptions

from hydra_asgi.backends.redis_store import scripts
from hydra_asgi.backends.redis_store.link import TRIES_SECONDS, Link, Word
from hydra_asgi.backends.redis_store.replica import Moment, Page, Replica, key_text, read_moment
from hydra_asgi.backends.redis_store.scripts import Script, key_of
from hydra_asgi.backends.redis_store.target import RedisTarget, read_redis_url
from hydra_asgi.backends.redis_store.trouble import store_error
from hydra_asgi.backends.redis_store.wake import Wakes, call
from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.directory.lease_times import BEAT_SECONDS, HELD_SECONDS
from hydra_asgi.core.instance import Revision, ServiceInstance, Snapshot
from hydra_asgi.core.routing.token import first_token
from hydra_asgi.core.service_settings import Expected, ServiceSettings, may_replace
from hydra_asgi.errors import RefusedError, StoreError
from hydra_asgi.wire.stored_document import StoredDocumentError
from hydra_asgi.wire.stored_instance import content_digest, dump_instance
from hydra_asgi.wire.stored_settings import dump_settings, parse_settings

__all__ = ["RedisStore", "open_redis_store"]

_logger = logging.getLogger("hydra_asgi.store")

PAGE_INSTANCES, PAGE_BYTES = 250, 262_144
"""What one script may send: other commands wait meanwhile, some milliseconds."""

PAGE_TRIES = 4
"""Times the timeout: how long one page may take on a slow line."""

PARSED_AT_ONCE = 20
"""Documents are read on the event loop, so many in a row: two milliseconds."""


def open_redis_store(url: str, *, on_alarm: Callable[[str], None] | None = None) -> "RedisStore":
    """The store of a URL of the Redis family. Nothing is connected before the first verb.

    Args:
        url: see `target`.
        on_alarm: called with one sentence when most instances go silent at once, or the directory was lost.

    Raises:
        ConfigurationError: it is not such a URL.
    """
    return RedisStore(read_redis_url(url), on_alarm=on_alarm)


class RedisStore:
    """A `Store` in Redis 7.0 or Valkey.

    Args:
        target: where, and whose keys are ours.
        on_alarm: called with one sentence when most instances go silent at once, or the directory was lost.

    Attributes:
        target: the same.
    """

    def __init__(self, target: RedisTarget, *, on_alarm: Callable[[str], None] | None = None) -> None:
        self.target = target
        self._link = Link(target)
        self._wakes = Wakes(self._link, key_of(target.namespace, "changes"))
        self._on_alarm = on_alarm
        self._replica = Replica()
        self._one_at_a_time = asyncio.Lock()
        self._epoch = ""
        self._looked_at_policy = False

    async def register(self, instance: ServiceInstance, lease: LeaseState) -> ServiceInstance:
        try:
            document, digest = dump_instance(instance), content_digest(instance)
        except StoredDocumentError as error:
            raise RefusedError(422, error.reason) from error
        answer = await self._run(
            scripts.REGISTER,
            token_hex(8),
            instance.service,
            key_text(instance),
            first_token(instance.service, instance.address),
            digest,
            document,
            lease.id,
            lease.caller,
            int(lease.signed),
            lease.counter,
            again=not lease.counter,
        )
        if len(answer) == 2:
            raise _refusal(answer, instance.service, str(instance.address), lease.counter)
        token, order, drained = answer
        weight = 0.0 if drained else instance.weight
        return replace(instance, token=int(token), order=order, active=True, weight=weight)

    async def renew(self, lease_id: str, service: str, *, counter: int = 0) -> bool:
        answer = await self._run(scripts.RENEW, lease_id, service, counter, again=not counter)
        return _known(answer, service, counter)

    async def release(self, lease_id: str, service: str, *, counter: int = 0) -> bool:
        return _known(await self._run(scripts.RELEASE, lease_id, service, counter), service, counter)

    async def leases_of(self, service: str, caller: str) -> Sequence[LeaseState]:
        flat = await self._run(scripts.LEASES_OF, service, caller, again=True)
        return [
            LeaseState(id_.decode(errors="replace"), service, caller, bool(signed), bool(active), int(counter))
            for id_, signed, active, counter in zip(*[iter(flat)] * 4, strict=True)
        ]

    async def vouch(self, token: int) -> None:
        await self._run(scripts.VOUCH, token, again=True)

    async def drain(self, token: int, *, draining: bool = True) -> bool:
        return bool(await self._run(scripts.DRAIN, token, int(draining), again=True))

    async def configure(self, service: str, settings: ServiceSettings | None, *, expected: Expected = ...) -> bool:
        try:
            document = dump_settings(settings, service) if settings else b""
        except StoredDocumentError as error:
            raise RefusedError(422, error.reason) from error
        replaced: tuple[int, bytes] = (0, b"")
        if expected is not ...:
            # Compared by what it means, replaced by its bytes: a newer node may have written more into it than we read.
            before = await self._settings_document(service)
            if not may_replace(_maybe_settings(before, service), settings or None, expected):
                return False
            replaced = (1, before)
        return bool(await self._run(scripts.CONFIGURE, token_hex(8), service, document, *replaced, again=True))

    async def first_use(self, nonce: str, seconds: float) -> bool:
        key = key_of(self.target.namespace, "nonce") + f":{nonce}"
        return await self._ask("SET", key, "", "NX", "PX", max(1, round(seconds * 1000))) is not None

    async def secret(self, name: str) -> bytes | None:
        value: bytes | None = await self._ask("HGET", key_of(self.target.namespace, "secrets"), name, again=True)
        return value

    async def keep_secret(self, name: str, value: bytes | None, *, expected: bytes | None) -> bool:
        words = (int(expected is not None), expected or b"", int(value is not None), value or b"")
        return bool(await self._run(scripts.KEEP_SECRET, name, *words))

    async def revision(self) -> Revision:
        answer = await self._run(scripts.POLL, token_hex(8), again=True)
        if not self._looked_at_policy:
            self._looked_at_policy = True
            await self._look_at_policy()
        return self._note(*read_moment(answer)).outer

    async def snapshot(self) -> Snapshot:
        async with self._one_at_a_time:
            while True:
                page = Page.read(
                    await self._run(
                        scripts.SNAPSHOT,
                        token_hex(8),
                        *self._replica.question(),
                        PAGE_INSTANCES,
                        PAGE_BYTES,
                        again=True,
                        patience=PAGE_TRIES,
                    )
                )
                self._note(page.moment, page.alarm)
                for taken, _ in enumerate(self._replica.take(page), 1):
                    if taken % PARSED_AT_ONCE == 0:
                        await asyncio.sleep(0)
                if page.is_last:
                    return self._replica.snapshot()

    def on_change(self, wake: Callable[[], None]) -> Callable[[], None]:
        return self._wakes.add(wake)

    async def close(self) -> None:
        await self._wakes.close()
        await self._link.close()
        self._one_at_a_time = asyncio.Lock()

    async def _run(self, script: Script, *words: Word, again: bool = False, patience: float = TRIES_SECONDS) -> Any:
        """Run a script. If a key holds something else, put that aside and run it again."""
        try:
            return await self._link.run(script, *words, again=again, patience=patience)
        except exceptions.ResponseError as error:
            if script is scripts.KEEP_SECRET:
                raise self._misplaced("secrets") from error
        await self._mend()
        try:
            return await self._link.run(script, *words, again=again, patience=patience)
        except exceptions.ResponseError as error:
            raise store_error(error, self.target) from error

    async def _ask(self, *command: Word, again: bool = False) -> Any:
        try:
            return await self._link.ask(*command, again=again)
        except exceptions.ResponseError as error:
            raise self._misplaced("secrets") from error

    async def _settings_document(self, service: str) -> bytes:
        try:
            found = await self._link.ask("HGET", key_of(self.target.namespace, "settings"), service, again=True)
        except exceptions.ResponseError:
            return b""  # something else is there; the script that follows has it put aside
        return found or b""

    def _misplaced(self, name: str) -> StoreError:
        key = key_of(self.target.namespace, name)
        return StoreError(f"{self.target} holds something else under {key!r}: look at it, and delete it")

    async def _mend(self) -> None:
        kinds = [scripts.KINDS[name] for name in scripts.MEND.keys]
        moved = await self._link.run(scripts.MEND, token_hex(8), *kinds)
        for key, kind in zip(*[iter(moved)] * 2, strict=True):
            name = key.decode(errors="replace")
            lost = (
                "the central settings are lost"
                if name == key_of(self.target.namespace, "settings")
                else ("the directory was started anew, services announce themselves again")
            )
            self._alarm(
                f"{self.target} held a {kind.decode()} under {name!r}, which is ours; it is now under "
                f"{name + ':unreadable'!r}, and {lost}"
            )

    def _note(self, moment: Moment, alarm: tuple[int, int] | None) -> Moment:
        if self._epoch and moment.epoch != self._epoch:
            self._alarm(
                f"{self.target} has lost the directory {self.target.namespace!r}: emptied, restarted without its data, "
                "or evicted. Services announce themselves again; central settings and secrets may have to be set again"
            )
        self._epoch = moment.epoch
        if alarm:
            going, total = alarm
            self._alarm(
                f"{going} of {total} instances went silent within {BEAT_SECONDS:g} s; they stay listed as inactive for "
                f"at most {HELD_SECONDS:g} s. If they are well, look at the way from them to this directory."
            )
        return moment

    def _alarm(self, sentence: str) -> None:
        if self._on_alarm is not None:
            call(partial(self._on_alarm, sentence))

    async def _look_at_policy(self) -> None:
        """Warn once of a server that may throw away keys of ours when it is full."""
        try:
            policy = (await self._link.memory_policy()) or "noeviction"
        except StoreError:
            return  # our user may not ask
        if policy.startswith("allkeys"):
            _logger.warning(
                "%s may throw away the directory when its memory is full (maxmemory-policy %s): set noeviction, or "
                "give the directory a server of its own",
                self.target,
                policy[:40],
            )


def _maybe_settings(document: bytes, service: str) -> ServiceSettings | None:
    """What cannot be read governs nobody, and whoever reads the directory has reported it."""
    try:
        return parse_settings(document, service) if document else None
    except StoredDocumentError:
        return None


def _known(answer: int | list[Any], service: str, counter: int) -> bool:
    if isinstance(answer, list):
        raise _refusal(answer, service, "", counter)
    return bool(answer)


def _refusal(answer: list[Any], service: str, address: str, counter: int) -> RefusedError:
    status, what = answer
    match what:
        case b"service":
            reason = f"the lease of this call is not one of {service!r}; register with a new one"
        case b"signature":
            where = f"{service!r} at {address[:200]!r}"
            reason = f"{where} is held with a signature; sign this call too, or end the signed lease"
        case _:
            reason = f"counter {counter} of a call of {service!r} was used before; sign anew with a higher one"
    return RefusedError(status, reason)
