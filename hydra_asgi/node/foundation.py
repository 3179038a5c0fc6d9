"""What every part of a node stands on, whatever its role: made once, and handed to all of them."""

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.control.guard import Guard
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.node.observing import Observing
from hydra_asgi.node.own_app import OwnApp
from hydra_asgi.options import Network, Options
from hydra_asgi.ports import Prober, Store, Upstream
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.service.signer import Signer

__all__ = ["Foundation"]


@dataclass(slots=True)
class Foundation:
    """What the parts of a node share.

    Attributes:
        options: of the node.
        own: the mounted app.
        declarations: its fragments and menu items.
        store: the directory's, used by a gateway.
        upstream: carries requests to other nodes.
        prober: asks the network.
        observing: who is told what the node does.
        asking: the upstream, traced where traces are made.
        health: how instances answer, learnt by whoever asks them.
        signer: signs the node's own calls.
        service_signers: sign what is asked of services with secrets of their own.
        guard: admits the calls of others.
        pseudonym: the node's name in `Via`.
        key: the path key: that of the options, or one that comes from the store.
        secret: what the site shares: that of the options, or one that comes from the store.
    """

    options: Options
    own: OwnApp
    declarations: Declarations
    store: Store
    upstream: Upstream
    prober: Prober
    observing: Observing
    asking: Upstream = field(init=False)
    health: InstanceHealth = field(init=False)
    signer: Signer = field(init=False)
    service_signers: Mapping[str, Signer] = field(init=False)
    guard: Guard = field(init=False)
    pseudonym: str = field(init=False)
    key: str = field(init=False)
    secret: str = field(init=False)

    def __post_init__(self) -> None:
        options = self.options
        self.asking = self.observing.upstream(self.upstream)
        self.health = InstanceHealth(on_change=self.observing.tell or None)
        self.signer = Signer(options.secret)
        self.service_signers = {name: Signer(own[0]) for name, own in options.service_secrets.items()}
        self.guard = Guard(
            key=options.key,
            secret=options.secret,
            accept_unsigned=options.accept_unsigned,
            service_secrets=options.service_secrets,
        )
        self.pseudonym = f"hydra-{secrets.token_hex(6)}"
        self.key = options.key
        self.secret = options.secret

    @property
    def lacks_secret(self) -> bool:
        """Whether nodes that open the same store have to find there what they prove themselves with."""
        options = self.options
        return options.gateway and not options.secret and not isinstance(self.store, MemoryStore)

    @property
    def refuses_everybody(self) -> bool:
        """Whether it looks as if services were to register here, and none can."""
        options = self.options
        proofs = options.secret or options.service_secrets or options.accept_unsigned or self.lacks_secret
        return options.gateway and bool(options.key) and not proofs

    def take_secret(self, secret: bytes) -> None:
        """Prove this node to others with what stands in their common store.

        Where the operator names no key, the path key is made from it, so that nobody else can know that either.
        """
        text = secret.hex()
        self.key = self.options.key or hmac.digest(secret, b"path key", "sha256").hex()[:32]
        self.guard.trust(self.key, text)
        self.signer.use(text)
        self.secret = text

    def secret_of(self, service: str) -> str:
        """What gateways and a service prove themselves to each other with; empty for nothing."""
        own = self.options.service_secrets.get(service)
        return own[0] if own else self.secret

    def is_trusted(self, ip: str) -> bool:
        """Whether the peer at an IP address is a proxy of ours, whose word on its client is believed."""
        networks = self.options.trusted
        return bool(networks) and _is_in(networks, ip)


@lru_cache(1024)  # proxies that are trusted send many requests each
def _is_in(networks: tuple[Network, ...], ip: str) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    return any(address in network for network in networks)
