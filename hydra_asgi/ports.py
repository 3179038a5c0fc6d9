"""What we need from the outside, as few verbs as possible. `backends/` implements these; tests and users fake them.

Nothing here knows a library. Bytes and header pairs travel as they are: order counts, names repeat.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.events import Event
from hydra_asgi.core.fragment import FragmentAnswer, FragmentQuestion, PageContext
from hydra_asgi.core.instance import Address, Revision, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import Expected, ServiceSettings

__all__ = [
    "Clock",
    "Event",
    "FragmentSource",
    "Headers",
    "Hook",
    "LeaseState",
    "Picker",
    "Prober",
    "Store",
    "Timeouts",
    "Upstream",
    "UpstreamRequest",
    "UpstreamResponse",
]

Headers = list[tuple[bytes, bytes]]
"""Header pairs in order, as ASGI has them: lower-case names on the way in, any case on the way out."""

Clock = Callable[[], float]
"""Seconds that only move forward."""


class Hook(Protocol):
    """Is told what the node does, for logs and metrics of its own."""

    def __call__(self, event: Event, /) -> None:
        """Take one event, on the event loop: must not wait for anything, and must not raise."""
        ...


class Store(Protocol):
    """The shared directory. Its verbs take no time argument: a shared store uses its own clock.

    An instance is (service, address) and lives while one of its leases does. Every verb may raise `StoreError`.
    """

    async def register(self, instance: ServiceInstance, lease: LeaseState) -> ServiceInstance:
        """Add or replace an instance and start or renew one of its leases.

        Returns the instance as it is now listed, with token and order. A content change moves the revision, a mere
        repetition does not (reviving an inactive instance does).

        Raises:
            RefusedError: 403, the lease belongs to another service, or the instance is held by signed leases and
                this one is not signed; 401, the lease has seen this counter or a higher one.
        """
        ...

    async def renew(self, lease_id: str, service: str, *, counter: int = 0) -> bool:
        """Take a beat. False: no such lease of that service, the caller has to register again.

        Args:
            lease_id: the lease.
            service: whose it is.
            counter: the number that the signed call carried; 0 for none.

        Raises:
            RefusedError: 401, the lease has seen this counter or a higher one, at whichever node.
        """
        ...

    async def release(self, lease_id: str, service: str, *, counter: int = 0) -> bool:
        """End a lease at once; the last one takes its instance with it. False: there was none.

        Raises:
            RefusedError: 401, as for `renew`.
        """
        ...

    async def leases_of(self, service: str, caller: str) -> Sequence[LeaseState]:
        """The leases of a service announced from one IP address, to attribute a beat that names no lease."""
        ...

    async def vouch(self, token: int) -> None:
        """Keep a silent instance listed (inactive) because it still answers requests. Unknown tokens are ignored."""
        ...

    async def drain(self, token: int, *, draining: bool = True) -> bool:
        """Set an instance's effective weight to 0, or take that back. False: no such instance."""
        ...

    async def configure(self, service: str, settings: ServiceSettings | None, *, expected: Expected = ...) -> bool:
        """Set the central settings of a service as a whole; None or an empty one takes them back.

        They stay when the service goes. A change moves the revision, a repetition does not.

        Args:
            service: whose they are.
            settings: all of them.
            expected: what the caller has read, None for nothing (what cannot be read counts as nothing); `...` for
                "whatever is set".

        Returns:
            Whether they are set now. False: somebody else has changed them meanwhile, and they were left alone.
        """
        ...

    async def first_use(self, nonce: str, seconds: float) -> bool:
        """Remember a nonce for so long. False: it was used before, at whichever node."""
        ...

    async def secret(self, name: str) -> bytes | None:
        """A secret that the whole site shares; None when there is none of that name."""
        ...

    async def keep_secret(self, name: str, value: bytes | None, *, expected: bytes | None) -> bool:
        """Set, replace or (None) remove a shared secret, if it still is what the caller has read.

        False: it is something else by now, and was left alone. So nodes that start together agree on one.
        """
        ...

    async def revision(self) -> Revision:
        """The present revision, after lapsed leases were taken into account. Cheap."""
        ...

    async def snapshot(self) -> Snapshot:
        """The whole directory at its present revision."""
        ...

    def on_change(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` soon after each change, where the store can tell. Returns the call that ends it."""
        ...

    async def close(self) -> None:
        """Give back connections. The directory in the store stays."""
        ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None waits for ever.

    Attributes:
        connect: until the connection stands. One second is what HAProxy's authors call generous on a LAN.
        first_byte: from the end of the request to the start of the response.
        idle: the longest silence between two pieces of a body; a stream of events may be silent as long as it likes.
    """

    connect: float | None = 1.0
    first_byte: float | None = 30.0
    idle: float | None = 60.0


_USUAL = Timeouts()


@dataclass(slots=True)  # not frozen only because making one would take five times as long; nobody changes it
class UpstreamRequest:
    """One HTTP request to one instance.

    Attributes:
        address: who is asked; connections go to `address.pinned` when it is set.
        method: upper-case.
        target: the exact request target: raw path and query, base path included, never decoded or re-encoded.
        headers: sent in this order. Must hold `host`; framing fields are derived from `body` and may not be here.
        body: None for no body, bytes for a whole one, an iterator for a stream.
        length: the declared length of a streamed body; None sends it chunked.
        timeouts: see `Timeouts`.
        service: whom the address stands for; only to say so where the request is observed.
        on_interim: awaited with status and headers of each interim response before the final head (a 103 with its
            links, for example), by upstreams that see them.
    """

    address: Address
    method: str
    target: bytes
    headers: Headers
    body: bytes | AsyncIterator[bytes] | None = None
    length: int | None = None
    timeouts: Timeouts = _USUAL
    service: str = ""
    on_interim: Callable[[int, Headers], Awaitable[None]] | None = None


class UpstreamResponse(Protocol):
    """A response whose head is there and whose body streams. Leave it as a context manager, or slots leak.

    Attributes:
        status: the final status.
        headers: names spelled as they came.
    """

    status: int
    headers: Headers

    @property
    def whole(self) -> bytes | None:
        """The whole body, where it came with the head. Then nothing is held: `body` need not be read, nor the context
        entered. None: it streams.
        """
        ...

    @property
    def trailers(self) -> Headers:
        """Fields that came behind the body, once that was read; empty where there are none, or nobody can tell."""
        ...

    @property
    def is_checked(self) -> bool:
        """The head is known to be legal and to name one certain end of the body; else whoever passes it on checks."""
        ...

    def body(self) -> AsyncIterator[bytes]:
        """The body's raw bytes, content coding untouched; only once.

        Raises:
            UpstreamError: TRUNCATED, IDLE_TIMEOUT, RESET or PROTOCOL. A cut body never ends as if it were whole.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Upstream(Protocol):
    """Sends requests to instances. Follows no redirects, keeps no cookies, retries nothing."""

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send, and return when the response's head has arrived.

        Raises:
            UpstreamError: what went wrong, as a closed `ErrorKind`.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Prober(Protocol):
    """Asks the network two questions at registration."""

    async def resolve(self, host: str) -> Sequence[str]:
        """The IP addresses of a host name (an IP address resolves to itself). Empty: it does not resolve."""
        ...

    async def why_unreachable(self, host: str, port: int) -> str | None:
        """Try to connect; None when it works, else one short reason."""
        ...


class Picker(Protocol):
    """Takes one element out of a rendered page."""

    async def pick(self, html: bytes, selector: str) -> bytes | None:
        """The HTML (UTF-8) of the first element that a CSS selector matches, the element itself included.

        None when nothing matches.

        Raises:
            PickError: the page is too large or too deep to be parsed.
        """
        ...


class FragmentSource(Protocol):
    """Where fragments come from: another instance, a gateway, the app itself, or a fake."""

    def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        """Answer questions to one service, each as soon as it is known, in any order.

        Never raises for trouble with a fragment: trouble is an answer without HTML. May end without having answered
        everything; what is missing is a fallback.
        """
        ...
