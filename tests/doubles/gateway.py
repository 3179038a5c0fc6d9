"""A whole control plane over a memory store, with a clock that is moved by hand."""

import asyncio
from typing import Any

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.control.address_check import AddressCheck
from hydra_asgi.control.guard import Guard
from hydra_asgi.control.plane import ControlPlane, ReadyState
from hydra_asgi.control.registration import RegistrationDesk
from hydra_asgi.core.directory.overview import Overview, build_overview
from hydra_asgi.errors import StoreError
from tests.doubles.prober import FakeProber
from tests.exchange import Exchange, exchange, http_scope

__all__ = ["EPOCH", "Gateway", "MoodyStore"]

EPOCH = 1_795_509_470.0


class MoodyStore(MemoryStore):
    """A memory store that can go away or hang."""

    is_away = False
    hangs = False

    def beside(self) -> "MoodyStore":
        """Another way to the same entries, with a mood of its own."""
        other = MoodyStore(self._clock, epoch=self._epoch)
        other._book, other._nonces = self._book, self._nonces
        return other

    async def _mood(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            raise StoreError("the store is away")

    async def register(self, *args: Any) -> Any:
        await self._mood()
        return await super().register(*args)

    async def renew(self, *args: Any, **counted: int) -> Any:
        await self._mood()
        return await super().renew(*args, **counted)

    async def release(self, *args: Any, **counted: int) -> Any:
        await self._mood()
        return await super().release(*args, **counted)

    async def leases_of(self, *args: Any) -> Any:
        await self._mood()
        return await super().leases_of(*args)

    async def first_use(self, *args: Any) -> Any:
        await self._mood()
        return await super().first_use(*args)


class Gateway:
    """An ASGI app: `plane` over `store`. `time` is seconds since the start."""

    def __init__(self, *, key: str = "k", store: MoodyStore | None = None, **options: Any) -> None:
        self.time = 0.0
        self.store = MoodyStore(self.clock, epoch="e") if store is None else store
        self.prober = FakeProber()
        self.overview = Overview("e.0")
        self.state = ReadyState()
        self.told: list[Any] = []
        guarding = {"secret": "the secret of the cluster", "accept_unsigned": ["127.0.0.0/8"]}
        guarding |= {name: options.pop(name) for name in list(options) if name in _GUARDING}
        self.guard = Guard(key=key, clock=lambda: EPOCH + self.time, **guarding)
        checking = {name: options.pop(name) for name in list(options) if name in _CHECKING}
        self.desk = RegistrationDesk(
            self.store,
            self.guard,
            AddressCheck(self.prober, **checking),
            overview=lambda: self.overview,
            clock=self.clock,
            store_seconds=0.02,
            tell=self.told.append,
            **options,
        )
        self.plane = ControlPlane(
            self.guard,
            ready=lambda: self.state,
            registrations=self.desk,
            tell=self.told.append,
            clock=self.clock,
        )

    def clock(self) -> float:
        return self.time

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.plane(scope, receive, send)

    async def refresh(self) -> Overview:
        """Bring the overview up to date, as the directory does within a second."""
        self.overview = build_overview(await self.store.snapshot())
        return self.overview

    async def call(
        self,
        call: str,
        body: bytes = b"",
        *,
        method: str = "POST",
        ip: str = "127.0.0.1",
        content_type: bytes = b"application/json",
        headers: list[tuple[bytes, bytes]] | None = None,
        key: str = "k",
    ) -> Exchange:
        """One discovery call."""
        fields = [(b"host", b"gateway"), (b"content-type", content_type), *(headers or [])]
        scope = http_scope(f"/h/discovery/{key}/{call}", method=method, headers=fields, client=(ip, 40000))
        return await exchange(self, scope, body)


_GUARDING = {"secret", "accept_unsigned", "service_secrets"}
_CHECKING = {"own", "allowed", "seconds"}
