"""What a service announces about one running copy of itself, and how the directory lists it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.service_settings import ServiceSettings

__all__ = [
    "Address",
    "Dialect",
    "FragmentDeclaration",
    "MenuItem",
    "Revision",
    "Route",
    "RouteKind",
    "ServiceInstance",
    "Snapshot",
]


class RouteKind(StrEnum):
    """What a route answers to."""

    HTTP = "http"
    WEBSOCKET = "websocket"


class Dialect(StrEnum):
    """How to talk to an instance: as to an unmodified Medusa, as to a node of ours, or in nothing but HTTP."""

    MEDUSA = "medusa"
    HYDRA = "hydra"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an instance is reached.

    Attributes:
        scheme: `http` or `https`.
        host: a DNS name or an IP address as announced, IPv6 without brackets.
        port: 1 to 65535.
        base: base path of the app, `""` or `/something` without a trailing slash.
        pinned: the IP address that was checked at registration; connections go there and nowhere else. Empty means
            "resolve `host`". Not part of the identity.
    """

    scheme: str
    host: str
    port: int
    base: str = ""
    pinned: str = field(default="", compare=False)

    @property
    def netloc(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.base}"


@dataclass(frozen=True, slots=True)
class Route:
    """One published route.

    Attributes:
        template: the path in our own syntax (`core.routing.template`), for example `/items/{id:int}`.
        methods: upper-case HTTP methods, or None for any. GET includes HEAD.
        kind: HTTP or WebSocket.
        host: a host name or a pattern such as `{tenant}.example.org`; None for any host.
    """

    template: str
    methods: frozenset[str] | None = None
    kind: RouteKind = RouteKind.HTTP
    host: str | None = None


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One entry of a named menu: the path it leads to and the words it shows (empty: show the path)."""

    menu: str
    endpoint: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class FragmentDeclaration:
    """A fragment that a service says it can render.

    Attributes:
        ref: how pages name it.
        imports: what it may see of the core page.
        exports: what it gives to the core page.
        path: where an instance that speaks plain HTTP answers GET with it; empty for all others.
    """

    ref: str
    imports: tuple[Binding, ...] = ()
    exports: tuple[Binding, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class ServiceInstance:
    """One running copy of a service.

    The first block is what the service announces; the second is what the store adds when it lists the instance.

    Attributes:
        service: the service's name.
        address: where it is reached; (service, address) is the identity.
        version: an integer; users are split by version first.
        weight: its share within its version, a finite number >= 0; 0 drains.
        routes: what it publishes.
        resources: static files, relative to its static folder (Medusa lists them; our nodes serve `/static/` whole).
        fragments: what it can render; None when it declares none, as Medusa does (then a ref is simply tried).
        menu_items: its entries in menus.
        active_since: when it started, in epoch milliseconds of its own clock; shown, never compared.
        dialect: how to talk to it.
        compose: gateways fill the fragment tags of its pages, because it cannot do so itself.
        token: its name inside URLs, unique in the directory, 1000000000 to 2147483647.
        order: the store's running number of the first registration; lower is older.
        active: beats arrive. False: silent too long, asked only when no active instance is left.
    """

    service: str
    address: Address
    version: int = 0
    weight: float = 10.0
    routes: tuple[Route, ...] = ()
    resources: frozenset[str] = frozenset()
    fragments: tuple[FragmentDeclaration, ...] | None = None
    menu_items: tuple[MenuItem, ...] = ()
    active_since: int = 0
    dialect: Dialect = Dialect.HYDRA
    compose: bool = False

    token: int = 0
    order: int = 0
    active: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """The identity: service name and address."""
        return (self.service, str(self.address))


@dataclass(frozen=True, slots=True)
class Revision:
    """Names one state of the directory. A new epoch means the store started from nothing."""

    epoch: str
    counter: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.counter}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The directory at one revision.

    Attributes:
        revision: which one.
        instances: in the order of their first registration.
        settings: central settings by service. A service that is absent is governed by what its instances announce.
        held: how many instances went silent together with most others, and stay listed for a while because of that.
        unreadable: how many entries of the store are left out, because this node cannot read them.
    """

    revision: Revision
    instances: tuple[ServiceInstance, ...] = ()
    settings: Mapping[str, ServiceSettings] = field(default_factory=dict)
    held: int = 0
    unreadable: int = 0
