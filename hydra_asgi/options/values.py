"""What a node was told, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from hydra_asgi.core.instance import Address
from hydra_asgi.options.readers import Network
from hydra_asgi.options.urls import MEMORY

__all__ = ["OPTION_NAMES", "Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a node was told.

    Attributes:
        service: the name under which the app joins the site; empty: the node serves its own pages only.
        version: an integer; users are split between versions by weight.
        weight: this instance's share, 0 to 1,000,000; 0 takes no requests.
        gateway: whether this node accepts registrations and forwards. Default: yes, unless `gateways` are given.
        gateways: base URLs of the gateways a service registers with, tried in turn.
        address: where other nodes reach this one, as a URL with an optional base path, or as a port; with a port the
            gateway takes the caller's IP address.
        key: names the site in control-plane paths. Without one nothing can register.
        secret: signs calls between our own nodes.
        store: where the directory is kept: `memory://` for one process, `sqlite:///path/site.db` for the processes of
            one host, `redis://...` for a fleet.
        last_known_good: a file in which a gateway keeps what it knows, so that it can start while the store is away.
        prefix: publish the app under this path prefix.
        routes: routes to publish in addition to the discovered ones, such as `"GET /items/{id}"`.
        exclude: templates, or prefixes ending in `/*`, that are not published.
        forward: service name or `*` -> names of request headers, or `cookie:NAME`, that its fragments get.
        forward_cookies: service name or `*` -> names of the cookies that forwarded requests to it carry; services that
            are not named get all of them.
        max_concurrent: requests to one service that are forwarded at a time; by default 1,000, or as many as the
            process may open files for.
        max_concurrent_total: the same for all services together; by default 4,000.
        max_queue: requests to one service that may wait a moment for a place; by default 100.
        service_secrets: service name -> what its calls have to be signed with, in the place of `secret`. With several,
            any of them will do, so that they can be changed; the first one signs what the service is asked.
        accept_unsigned: networks and service names from which registration without a signature is accepted; needed
            for Java services.
        allow_addresses: networks in which a service may register an address that is not the caller's own.
        trusted: networks of proxies in front of us whose `Forwarded` and `X-Forwarded-*` fields are believed.
        fragment_budget: seconds that a page waits for a fragment from its start tag on; below Medusa's 2 s by default.
        config: the path of a site file: options for `[gateway]`, and instances that register nowhere.
        public_control: whether the control plane is served under `/h/`; False where `hydra.control` is served on a
            listener of its own.
        grace: seconds that requests may go on after the server was told to stop; ten fit into the thirty after which
            Kubernetes kills.
        enabled: False makes the middleware a pass-through.
        metrics: keep metrics, and show them at `/h/metrics` to this machine and to `trusted` networks.
    """

    service: str = ""
    version: int = 0
    weight: float = 10.0
    gateway: bool = True
    gateways: tuple[str, ...] = ()
    address: Address | None = None
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    store: str = field(default=MEMORY, repr=False)  # it may hold a password
    last_known_good: str = ""
    prefix: str = ""
    routes: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    forward: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forward_cookies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    max_concurrent: int | None = None
    max_concurrent_total: int | None = None
    max_queue: int | None = None
    service_secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    accept_unsigned: tuple[str, ...] = ()
    allow_addresses: tuple[Network, ...] = ()
    trusted: tuple[Network, ...] = ()
    fragment_budget: float = 1.5
    config: str = ""
    public_control: bool = True
    grace: float = 10.0
    enabled: bool = True
    metrics: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether other processes may open the same store."""
        return self.store != MEMORY


OPTION_NAMES = tuple(option.name for option in fields(Options))
"""All of them, in the order of `Options`."""
