"""Options from arguments and the environment."""

import re
from pathlib import Path

import pytest

from hydra_asgi.core.instance import Address
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options import OPTION_NAMES, read_option, read_options, read_url

SERVICE = {
    "service": "orders",
    "gateways": ["http://127.0.0.1:8000"],
    "address": "http://127.0.0.1:8002",
    "key": "k",
}


def test_defaults_make_a_gateway_of_one_process() -> None:
    """Without any option a node is a gateway with a memory store under which nothing can register."""
    options = read_options({}, {})
    assert options.gateway
    assert options.store == "memory://"
    assert options.key == ""
    assert options.enabled


def test_environment_fills_what_arguments_leave_open() -> None:
    """An argument wins over its variable; the rest comes from the environment."""
    environ = {"HYDRA_SERVICE": "shop", "HYDRA_VERSION": "3", "HYDRA_WEIGHT": "2.5", "HYDRA_ENABLED": "0"}
    options = read_options({"version": 4, "weight": None}, environ)
    assert (options.service, options.version, options.weight, options.enabled) == ("shop", 4, 2.5, False)


def test_kubernetes_variables_are_not_ours() -> None:
    """Variables that Kubernetes injects for a Service named "hydra", and unknown ones, change nothing."""
    environ = {
        "HYDRA_PORT": "tcp://10.0.0.1:80",
        "HYDRA_PORT_80_TCP": "x",
        "HYDRA_SERVICE_HOST": "10.0.0.1",
        "HYDRA_SERVICE_PORT": "80",
        "HYDRA_UNKNOWN": "x",
    }
    assert read_options({}, environ) == read_options({}, {})


def test_gateways_make_a_service() -> None:
    """A node that is told of gateways is a service only, unless it is told to be one itself."""
    options = read_options({**SERVICE, "gateways": "http://a:1/, http://b:2"}, {})
    assert not options.gateway
    assert options.gateways == ("http://a:1", "http://b:2")
    assert read_options({**SERVICE, "gateway": True}, {}).gateway


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://127.0.0.1:8002", Address("http", "127.0.0.1", 8002)),
        ("https://orders.internal/base/", Address("https", "orders.internal", 443, "/base")),
        ("http://[::1]:80", Address("http", "::1", 80)),
        (":8002", Address("http", "", 8002)),
        ("8002", Address("http", "", 8002)),
        (8002, Address("http", "", 8002)),
    ],
)
def test_address(text: object, address: Address) -> None:
    """An address is a URL with an optional base path, or a port."""
    assert read_options({"address": text}, {}).address == address


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("service", "a:b", "service="),
        ("service", "static", "service="),
        ("version", "two", "integer"),
        ("version", -1, "integer"),
        ("weight", "nan", "number"),
        ("weight", -1, "number"),
        ("weight", 1e308, "number"),
        ("gateway", "perhaps", "1 or 0"),
        ("gateways", 7, "list"),
        ("gateways", ["ftp://x"], "http"),
        ("address", "redis://x:1", "http"),
        ("address", "http://u:p@x:1", "http"),
        ("address", "http://x:99999", "http"),
        ("address", "http://x:1/?q", "http"),
        ("address", "http://x\r\ny:1/", "http"),
        ("address", 0, "port"),
        ("key", "a/b", "path"),
        ("key", 7, "is of the type int: expected text"),
        ("last_known_good", 7, "is of the type int: expected text"),
        ("routes", [7], "is '7': expected text for each item"),
        ("forward", {"or ders": ["X-A"]}, "'or ders' is not a service name"),
        ("forward", {"orders": 7}, "of orders is '7': expected a list"),
        ("secret", "short", "16"),
        ("store", "mysql://x", "memory://"),
        ("forward_cookies", 7, "cookie names"),
        ("forward_cookies", {"orders": ["bad name"]}, "cookie names"),
        ("max_concurrent", 0, "from 1 to 1,000,000"),
        ("max_concurrent_total", 10**7, "from 1 to 1,000,000"),
        ("max_queue", -1, "an integer from 0 to 1,000,000"),
        ("service_secrets", "orders", "a mapping from service"),
        ("service_secrets", ["orders"], "a mapping from service"),
        ("service_secrets", {"orders": []}, "a mapping from service"),
        ("service_secrets", {"orders": 7}, "a mapping from service"),
        ("service_secrets", {"orders": ""}, "a mapping from service"),
        ("service_secrets", "orders=short", "of orders has 5 characters"),
        ("service_secrets", "a b=long-enough-to-be-one", "service_secrets="),
        ("prefix", "orders", "path"),
        ("prefix", "/a/../b", "path"),
        ("prefix", "/a b", "path"),
        ("forward", 7, "names"),
        ("forward", {"orders": ["bad name"]}, "names"),
        ("accept_unsigned", "10.0.0.0/99", "networks"),
        ("accept_unsigned", "a b", "accept_unsigned="),
        ("allow_addresses", "ten", "networks"),
        ("trusted", "10.0.0.1/8", "networks"),
        ("fragment_budget", 0, "seconds"),
    ],
)
def test_wrong_values_say_where_what_and_how(option: str, value: object, words: str) -> None:
    """A wrong value names its option or variable and what was expected."""
    with pytest.raises(ConfigurationError, match=re.escape(f"{option}=")) as raised:
        read_options({option: value}, {})
    assert words in str(raised.value)
    if isinstance(value, str) and "service_secrets=" not in words:
        with pytest.raises(ConfigurationError, match=f"HYDRA_{option.upper()} "):
            read_options({}, {f"HYDRA_{option.upper()}": value})


def test_secrets_are_never_shown() -> None:
    """Neither an error nor the representation of the options shows a key or a secret."""
    with pytest.raises(ConfigurationError) as raised:
        read_options({"secret": "hunter2"}, {})
    assert "hunter2" not in str(raised.value)
    options = read_options({"key": "kk-public", "secret": "s" * 32}, {})
    assert "kk-public" not in repr(options)
    assert "sss" not in repr(options)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"orders": "the secret of orders"}, {"orders": ("the secret of orders",)}),
        (
            {"orders": ["the secret of orders", "the next secret!"]},
            {"orders": ("the secret of orders", "the next secret!")},
        ),
        (
            "orders=the secret of orders|the next secret!, billing=the secret of billing",
            {"orders": ("the secret of orders", "the next secret!"), "billing": ("the secret of billing",)},
        ),
    ],
)
def test_secrets_of_services(given: object, expected: object) -> None:
    """A service has one secret or several, which are never shown."""
    options = read_options({"service_secrets": given}, {})
    assert options.service_secrets == expected
    assert "the secret" not in repr(options)


@pytest.mark.parametrize("secret", [["hunter2" * 3], 12345678901234567890])
def test_a_secret_that_is_no_text_is_not_shown(secret: object) -> None:
    """A list or a number would be shortened or padded to something that nobody has written down."""
    with pytest.raises(ConfigurationError, match="secret= is of the type") as raised:
        read_options({"secret": secret}, {})
    assert "hunter2" not in str(raised.value)
    assert "1234" not in str(raised.value)


@pytest.mark.parametrize("given", ["orders: the secret of orders", {"orders": ["hunter2"]}, {"o o": "hunter2" * 3}])
def test_wrong_secrets_of_services_are_not_shown(given: object) -> None:
    """A message says what is wrong with a secret, and nothing of the secret."""
    with pytest.raises(ConfigurationError) as raised:
        read_options({"service_secrets": given}, {})
    assert "the secret of" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sid|lang", {"*": {"sid", "lang"}}),
        ("orders=sid|lang, legacy=", {"orders": {"sid", "lang"}, "legacy": set()}),
        ({"orders": ["sid"], "*": []}, {"orders": {"sid"}, "*": set()}),
    ],
)
def test_cookies_of_forwarded_requests(given: object, expected: object) -> None:
    """Services may be given some cookies, or none."""
    assert read_options({"forward_cookies": given}, {}).forward_cookies == expected


def test_limits() -> None:
    """Sizes are numbers, and left open unless they are given."""
    usual = read_options({}, {})
    assert (usual.max_concurrent, usual.max_concurrent_total, usual.max_queue) == (None, None, None)
    options = read_options({"max_queue": 0}, {"HYDRA_MAX_CONCURRENT": "5", "HYDRA_MAX_CONCURRENT_TOTAL": "7"})
    assert (options.max_concurrent, options.max_concurrent_total, options.max_queue) == (5, 7, 0)


MESH = {"service": "orders", "store": "redis://:hunter2@redis:6379/0", "address": "http://10.0.0.7:8002"}


@pytest.mark.parametrize(
    "url",
    [
        "memory://",
        "sqlite:///srv/site.db",
        "redis://h:6379/0",
        "rediss://h",
        "unix:///run/redis.sock",
        "redis+sentinel://a:26379,b/site",
        "redis+cluster://a,b",
    ],
)
def test_stores(url: str) -> None:
    """A store is chosen by the scheme of its URL; only that of one process is not shared."""
    options = read_options({"store": url}, {})
    assert options.store == url
    assert options.is_shared is (url != "memory://")


@pytest.mark.parametrize("url", ["redis://", "memory://x", "", "REDIS://h", "http://u:hunter2@h", "hunter2"])
def test_other_stores(url: str) -> None:
    """Anything else is refused with all ways out, and without what may be a password."""
    with pytest.raises(ConfigurationError, match=r"sqlite:///path/site\.db .* redis://host:6379/0") as raised:
        read_options({"store": url}, {})
    assert "hunter2@" not in str(raised.value)


def test_the_password_of_a_store_is_never_shown() -> None:
    """It is part of the URL, so the URL is not shown."""
    assert "hunter2" not in repr(read_options(MESH, {}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"address": None}, "HYDRA_ADDRESS"),
        ({"address": 8002}, "the port 8002 alone"),
        ({"address": 8002, "gateways": "http://a:1", "key": "k", "gateway": True}, "the port 8002 alone"),
        ({"store": "sqlite:///site.db", "address": None}, "HYDRA_ADDRESS"),
    ],
)
def test_a_node_in_a_mesh_has_an_address(changes: dict[str, object], words: str) -> None:
    """Whoever registers itself in a shared store says where it is: nobody sees where the call comes from."""
    with pytest.raises(ConfigurationError, match=words):
        read_options({**MESH, **changes}, {})


def test_on_one_host_a_port_is_enough() -> None:
    """All who read a file are on its host; a service alone keeps the port for its gateway to complete."""
    on_host = {**MESH, "store": "sqlite:///site.db", "address": 8002}
    assert read_options(on_host, {}).address == Address("http", "127.0.0.1", 8002)
    service = read_options({**on_host, "gateways": "http://a:1", "key": "k"}, {})
    assert service.address == Address("http", "", 8002)
    assert read_options({**on_host, "enabled": False, "address": None}, {}).address is None


def test_a_gateway_alone_needs_no_address() -> None:
    """Without a service name nothing of its own is registered."""
    assert read_options({"store": "redis://h"}, {}).address is None


@pytest.mark.parametrize("missing", ["service", "key", "address"])
def test_a_service_needs_name_key_and_address(missing: str) -> None:
    """With gateways, each missing companion is named together with its variable."""
    given = {name: value for name, value in SERVICE.items() if name != missing}
    with pytest.raises(ConfigurationError, match=f"HYDRA_{missing.upper()}"):
        read_options(given, {})
    assert not read_options({**given, "enabled": False}, {}).enabled


def test_neither_gateway_nor_service() -> None:
    """A node that is no gateway and knows none is a mistake."""
    with pytest.raises(ConfigurationError, match="HYDRA_GATEWAYS"):
        read_options({"gateway": False}, {})


def test_forward_rules() -> None:
    """Forward rules are per service, or for all; the text form names both."""
    assert read_options({"forward": ["X-Tenant"]}, {}).forward == {"*": ("X-Tenant",)}
    assert read_options({"forward": {"orders": ["cookie:sid"]}}, {}).forward == {"orders": ("cookie:sid",)}
    text = "orders=X-Tenant|cookie:sid, X-Beta"
    assert read_options({"forward": text}, {}).forward == {"orders": ("X-Tenant", "cookie:sid"), "*": ("X-Beta",)}


def test_paths_are_text_or_paths() -> None:
    """A file may be named by a path object."""
    assert read_options({"last_known_good": Path("/srv/site.json")}, {}).last_known_good == "/srv/site.json"


def test_unsigned_takes_networks_and_services() -> None:
    """`accept_unsigned` mixes networks, addresses and service names."""
    options = read_options({"accept_unsigned": "10.0.0.0/8, ::1, legacy"}, {})
    assert options.accept_unsigned == ("10.0.0.0/8", "::1", "legacy")


def test_a_site_file_fills_what_is_left() -> None:
    """The file gives what neither arguments nor environment do; a wrong value names its line."""
    file = {"key": ("file", "site.toml:2: key:"), "grace": (3, "site.toml:3: grace:"), "version": (7, "x")}
    options = read_options({"version": 8}, {"HYDRA_GRACE": "4"}, file)
    assert (options.key, options.grace, options.version) == ("file", 4.0, 8)
    with pytest.raises(ConfigurationError, match=re.escape("site.toml:9: grace: is 'long': expected a number")):
        read_options({}, {}, {"grace": ("long", "site.toml:9: grace:")})


def test_one_option_alone() -> None:
    """Single options and URLs can be read by themselves, for what is written in files."""
    assert read_option("weight", "2.5", "x") == 2.5
    assert read_url("http://h:1/base/", "x") == Address("http", "h", 1, "/base")
    assert set(OPTION_NAMES) >= {"service", "key", "config", "grace", "public_control"}


def test_what_a_stop_takes() -> None:
    """Ten seconds of grace fit into the thirty of Kubernetes; the control plane is public unless said otherwise."""
    options = read_options({}, {})
    assert (options.grace, options.public_control) == (10.0, True)
    assert not read_options({"public_control": "0"}, {}).public_control
