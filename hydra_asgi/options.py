"""The options of a node: from arguments, the environment and a site file, read here and nowhere else.

Every option can be given as a keyword argument of `Hydra`, as `HYDRA_<NAME>`, or under `[gateway]` in the site file.
The first of these wins, so that the environment fills in what the code leaves open, and the file what both do. Unknown
`HYDRA_*` variables are ignored, and those that Kubernetes injects for a Service called "hydra" are never read:
HYDRA_PORT*, HYDRA_SERVICE_HOST, HYDRA_SERVICE_PORT*.

A wrong value stops start-up with a message that names where it came from, the value and the way out.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit

from hydra_asgi.core.instance import Address
from hydra_asgi.core.service_name import ServiceNameError, check_service_name
from hydra_asgi.errors import ConfigurationError

__all__ = ["OPTION_NAMES", "Given", "Network", "Options", "read_option", "read_options", "read_url"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Given = tuple[object, str]
"""A value, and where it was given, for messages."""

MIN_SECRET = 16
"""HMAC-SHA256 wants at least 128 bits; sixteen characters is the least that can hold them."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})
_KEY = re.compile(r"[A-Za-z0-9._~-]{1,128}")


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
        key: names the cluster in control-plane paths. Without one nothing can register.
        secret: signs calls between our own nodes.
        store: where the directory is kept: `memory://` for one process.
        prefix: publish the app under this path prefix.
        routes: routes to publish in addition to the discovered ones, such as `"GET /items/{id}"`.
        exclude: templates, or prefixes ending in `/*`, that are not published.
        forward: service name or `*` -> names of request headers, or `cookie:NAME`, that its fragments get.
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
    store: str = "memory://"
    prefix: str = ""
    routes: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    forward: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    accept_unsigned: tuple[str, ...] = ()
    allow_addresses: tuple[Network, ...] = ()
    trusted: tuple[Network, ...] = ()
    fragment_budget: float = 1.5
    config: str = ""
    public_control: bool = True
    grace: float = 10.0
    enabled: bool = True
    metrics: bool = False


OPTION_NAMES = tuple(option.name for option in fields(Options))
"""All of them, in the order of `Options`."""


def read_option(name: str, value: object, origin: str) -> object:
    """One option's value, read as its field has it.

    Args:
        name: of the option.
        value: as it was given.
        origin: where, for the message.

    Raises:
        ConfigurationError: the value is wrong.
    """
    return _READERS[name](value, origin)


def read_options(
    arguments: Mapping[str, object], environ: Mapping[str, str], file: Mapping[str, Given] | None = None
) -> Options:
    """Options from keyword arguments (None means "not given"), the environment and a site file.

    Args:
        arguments: by option name.
        environ: by `HYDRA_<NAME>`.
        file: by option name.

    Raises:
        ConfigurationError: a value is wrong, or two options do not fit together.
    """
    given: dict[str, object] = {}
    for option in fields(Options):
        value, origin = arguments.get(option.name), f"{option.name}="
        if value is None and (variable := f"HYDRA_{option.name.upper()}") in environ:
            value, origin = environ[variable], variable
        if value is None and file is not None and option.name in file:
            value, origin = file[option.name]
        if value is not None:
            given[option.name] = _READERS[option.name](value, origin)
    if "gateway" not in given:
        given["gateway"] = not given.get("gateways")
    options = Options(**given)  # type: ignore[arg-type]  # each reader returns its field's type
    _check_together(options)
    return options


def _check_together(options: Options) -> None:
    if not options.enabled:
        return
    if options.gateways and not options.service:
        raise ConfigurationError("gateways= is given but service= (HYDRA_SERVICE) is not: name the service to register")
    if options.gateways and not options.key:
        raise ConfigurationError("gateways= is given but key= (HYDRA_KEY) is not: set it to the key of the cluster")
    if options.gateways and options.address is None:
        raise ConfigurationError(
            "gateways= is given but address= (HYDRA_ADDRESS) is not: set it to the URL at which the gateway reaches "
            "this app, such as http://10.0.0.7:8002, or to its port"
        )
    if not options.gateway and not options.gateways:
        raise ConfigurationError("gateway=False without gateways= (HYDRA_GATEWAYS): name a gateway, or be one")


def _wrong(origin: str, value: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{origin} is {str(value)[:120]!r}: expected {expected}")


def _service(value: object, origin: str) -> str:
    try:
        return check_service_name(str(value))
    except ServiceNameError as error:
        raise ConfigurationError(f"{origin} {error}") from error


def _integer(value: object, origin: str) -> int:
    try:
        number = int(str(value))
    except ValueError:
        raise _wrong(origin, value, "an integer, such as 2") from None
    if not 0 <= number < 2**63:
        raise _wrong(origin, value, "an integer from 0 to 2^63-1")
    return number


def _number(low: float, high: float, unit: str) -> Callable[[object, str], float]:
    def read(value: object, origin: str) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise _wrong(origin, value, f"a number{unit} from {low:g} to {high:g}")
        return number

    return read


def _flag(value: object, origin: str) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise _wrong(origin, value, "1 or 0 (true/false, yes/no, on/off)")
    return word in _TRUE


def _items(value: object, origin: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence):
        raise _wrong(origin, value, "a list, or text separated by commas")
    return tuple(str(item).strip() for item in value if str(item).strip())


def _gateways(value: object, origin: str) -> tuple[str, ...]:
    urls = tuple(url.rstrip("/") for url in _items(value, origin))
    for url in urls:
        read_url(url, origin)
    return urls


def read_url(url: str, origin: str) -> Address:
    """The address in an instance's base URL.

    Args:
        url: `http://host:port/base`.
        origin: where it was given, for the message.

    Raises:
        ConfigurationError: it is something else.
    """
    expected = "a URL such as http://10.0.0.7:8002 (scheme http or https, optional base path, nothing else)"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _wrong(origin, url, expected) from None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username is not None
        or parts.query
        or parts.fragment
        or not url.isascii()
        or re.search(r"[\x00-\x20\\]", url)
    ):
        raise _wrong(origin, url, expected)
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


def _address(value: object, origin: str) -> Address:
    text = str(value).strip()
    if (port := text.removeprefix(":")).isascii() and port.isdigit():
        if not 1 <= int(port) <= 65535:
            raise _wrong(origin, value, "a port from 1 to 65535")
        return Address("http", "", int(port))
    return read_url(text, origin)


def _key(value: object, origin: str) -> str:
    text = str(value)
    if text and not _KEY.fullmatch(text):
        raise ConfigurationError(
            f"{origin} is not usable in a path: use up to 128 letters, digits and the characters . _ ~ -"
        )
    return text


def _secret(value: object, origin: str) -> str:
    text = str(value)
    if text and len(text) < MIN_SECRET:
        raise ConfigurationError(
            f"{origin} has {len(text)} characters, at least {MIN_SECRET} are needed; one can be made with: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return text


def _store(value: object, origin: str) -> str:
    text = str(value)
    if text != "memory://":
        raise _wrong(origin, value, "memory:// (the only store of this version)")
    return text


def _prefix(value: object, origin: str) -> str:
    text = str(value).rstrip("/")
    if text and (not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text) or re.search(r"/\.\.?(/|$)", text)):
        raise _wrong(origin, value, "a path of plain segments, such as /orders")
    return text


def _forward(value: object, origin: str) -> Mapping[str, tuple[str, ...]]:
    expected = "names for all services, or a mapping from service to names; as text: orders=X-Tenant|cookie:sid"
    if isinstance(value, str):
        pairs: dict[str, object] = {}
        for item in _items(value, origin):
            service, equals, names = item.partition("=")
            pairs[service.strip() if equals else "*"] = (names if equals else item).split("|")
        value = pairs
    if isinstance(value, Sequence):
        value = {"*": value}
    if not isinstance(value, Mapping):
        raise _wrong(origin, value, expected)
    rules = {str(service): _items(names, origin) for service, names in value.items()}
    for name in (name for names in rules.values() for name in names):
        if not re.fullmatch(r"(cookie:)?[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise _wrong(origin, name, expected)
    return rules


def _networks(value: object, origin: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    for item in _items(value, origin):
        try:
            networks.append(ipaddress.ip_network(item))
        except ValueError:
            raise _wrong(origin, item, "networks such as 10.0.0.0/8 or single IP addresses") from None
    return tuple(networks)


def _unsigned(value: object, origin: str) -> tuple[str, ...]:
    items = _items(value, origin)
    for item in items:
        if "/" in item or ":" in item or item[:1].isdigit():
            _networks([item], origin)
        else:
            _service(item, origin)
    return items


_READERS: dict[str, Callable[[object, str], object]] = {
    "service": _service,
    "version": _integer,
    "weight": _number(0, 1_000_000, ""),
    "gateway": _flag,
    "gateways": _gateways,
    "address": _address,
    "key": _key,
    "secret": _secret,
    "store": _store,
    "prefix": _prefix,
    "routes": _items,
    "exclude": _items,
    "forward": _forward,
    "accept_unsigned": _unsigned,
    "allow_addresses": _networks,
    "trusted": _networks,
    "fragment_budget": _number(0.01, 60, " of seconds"),
    "config": lambda value, origin: str(value),
    "public_control": _flag,
    "grace": _number(0, 3600, " of seconds"),
    "enabled": _flag,
    "metrics": _flag,
}
