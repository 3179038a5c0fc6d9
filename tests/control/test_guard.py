"""Who may call the control plane."""

from typing import Any

import pytest

from hydra_asgi.control.guard import Caller, Guard, caller_ip, header_of
from hydra_asgi.core.admission.signature import lease_nonce, sign
from hydra_asgi.errors import ConfigurationError, RefusedError
from tests.exchange import http_scope

NOW = 1_795_509_470.0
PATH = "/h/discovery/k/alive"
SECRET = "the secret of the cluster"
LEASE = "lease-1"


def guard(**options: Any) -> Guard:
    return Guard(**{"key": "k", "secret": SECRET, "clock": lambda: NOW, **options})


def call(*headers: tuple[bytes, bytes], client: Any = ("10.1.2.3", 5000), path: str = PATH) -> Any:
    return http_scope(path, method="POST", headers=[(b"host", b"gateway"), *headers]) | {"client": client}


def signed(
    nonce: str = "abc", *, secret: str = SECRET, body: bytes = b"one", time: float = NOW, lease: str = ""
) -> Any:
    signature = sign(secret, method="POST", path=PATH, body=body, time=time, nonce=nonce)
    fields = [(b"hydra-signature", signature.encode())]
    if lease:
        fields.append((b"hydra-instance", lease.encode()))
    return call(*fields)


def refused(the: Guard, scope: Any, body: bytes = b"one", service: str | None = "one") -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        the.admit(scope, body, service=service)
    return caught.value


def test_key() -> None:
    """Only the very key matches; a gateway without a key refuses all."""
    assert guard().check_key("k")
    assert not guard().check_key("K")
    assert not guard().check_key("")
    assert not guard().check_key("\udcff")
    assert not guard(key="").check_key("")


@pytest.mark.parametrize("key", ["a/b", "a b", "ä", "a%2f", "a\n"])
def test_keys_are_path_text(key: str) -> None:
    """A key that Java peers could not put into a URL as it is stops start-up, without being shown."""
    with pytest.raises(ConfigurationError) as caught:
        guard(key=key)
    assert key not in str(caught.value)


def test_signed_call() -> None:
    """A good signature admits from anywhere."""
    assert guard().admit(signed(), b"one", service="one") == Caller("10.1.2.3", signed=True, nonce="abc")


def test_now() -> None:
    """The guard's time is its clock's."""
    assert guard().now == NOW


@pytest.mark.parametrize(
    ("scope", "word"),
    [
        (signed(secret="another"), "our secret"),
        (signed(body=b"two"), "our secret"),
        (signed(time=NOW - 61), "Hydra-Time"),
        (signed(time=NOW + 61), "Hydra-Time"),
        (call((b"hydra-signature", b"v1;nonsense")), "form"),
        (call(), "HYDRA_SECRET"),
    ],
)
def test_bad_signatures(scope: Any, word: str) -> None:
    """Wrong, stale, malformed and missing are 401, each with what to do."""
    error = refused(guard(), scope)
    assert error.status == 401
    assert word in error.reason


def test_a_signature_that_nobody_can_check() -> None:
    """Whoever signs is told that the secret is missing here, not there."""
    assert "without a secret; set HYDRA_SECRET here" in refused(guard(secret=""), signed()).reason


def test_replay() -> None:
    """A signature is good once; another nonce is another call."""
    the = guard()
    the.admit(signed(), b"one", service="one")
    assert "used before" in refused(the, signed()).reason
    assert the.admit(signed("abd"), b"one", service="one").signed


def test_a_refused_call_uses_no_nonce() -> None:
    """Strangers cannot use up a nonce by sending it with a wrong code."""
    the = guard()
    refused(the, signed("abc", secret="another"))
    assert the.admit(signed("abc"), b"one", service="one").signed


def test_replay_after_the_window() -> None:
    """A nonce is forgotten when its signature is stale anyway, and not before."""
    clock = [NOW]
    the = guard(clock=lambda: clock[0])
    the.admit(signed(time=NOW + 60), b"one", service="one")
    clock[0] = NOW + 119
    assert "used before" in refused(the, signed(time=NOW + 60)).reason
    clock[0] = NOW + 121
    assert "Hydra-Time" in refused(the, signed(time=NOW + 60)).reason


def test_lease_counters() -> None:
    """Calls that name their lease need no nonce memory: the counter grows."""
    the = guard()
    for counter in (1, 2, 7):
        caller = the.admit(signed(lease_nonce(LEASE, counter), lease=LEASE), b"one", service="one")
        assert caller == Caller("10.1.2.3", signed=True, lease=LEASE, counter=counter)
    for counter in (7, 3, 0):
        assert "used before" in refused(the, signed(lease_nonce(LEASE, counter), lease=LEASE)).reason
    assert the.admit(signed(lease_nonce("lease-2", 1), lease="lease-2"), b"one", service="one").signed


@pytest.mark.parametrize(
    ("nonce", "lease"), [("abc", LEASE), (lease_nonce("lease-2", 1), LEASE), (lease_nonce(LEASE, 1), "")]
)
def test_the_lease_is_covered_by_the_signature(nonce: str, lease: str) -> None:
    """`Hydra-Instance` cannot be added, changed or taken away."""
    assert refused(guard(), signed(nonce, lease=lease)).status == 401


def test_memory_is_bounded() -> None:
    """When more is to be remembered than there is room for, calls are refused rather than replays let in."""
    the = guard(max_nonces=1)
    the.admit(signed("a"), b"one", service="one")
    assert refused(the, signed("b")).status == 503
    the.admit(signed(lease_nonce(LEASE, 1), lease=LEASE), b"one", service="one")
    assert refused(the, signed(lease_nonce("other", 1), lease="other")).status == 503
    assert the.admit(signed(lease_nonce(LEASE, 2), lease=LEASE), b"one", service="one").signed


def test_service_secrets() -> None:
    """A service with a secret of its own must use it, and it is good for no other service."""
    the = guard(service_secrets={"one": "the secret of one"})
    assert the.admit(signed("a", secret="the secret of one"), b"one", service="one").signed
    assert "'one'" in refused(the, signed("b")).reason
    assert refused(the, signed("c", secret="the secret of one"), service="two").status == 401
    assert the.admit(signed("d"), b"one", service="two").signed


def test_calls_that_name_no_service() -> None:
    """Where no service is named, any secret of the cluster is good."""
    the = guard(service_secrets={"one": "the secret of one"})
    assert the.admit(signed("a", secret="the secret of one"), b"one").signed
    assert the.admit(signed("b"), b"one").signed
    assert refused(the, signed("c", secret="another"), service=None).status == 401


def test_a_service_may_have_several_secrets() -> None:
    """While a secret is changed, calls that are signed with the old one and with the new one are good."""
    the = guard(service_secrets={"one": ["the old secret of one", "the new secret of one"]})
    for number, secret in enumerate(("the old secret of one", "the new secret of one")):
        for service in ("one", None):
            call_ = signed(secret=secret, nonce=f"n{number}{service}")
            assert the.admit(call_, b"one", service=service).signed
    with pytest.raises(RefusedError, match="the secret of 'one'"):
        the.admit(signed(nonce="other"), b"one", service="one")


def test_service_secrets_close_the_unsigned_door() -> None:
    """A service with a secret of its own cannot be spoken for without a signature."""
    the = guard(service_secrets={"one": "x"}, accept_unsigned=["10.0.0.0/8", "one"])
    assert refused(the, call()).status == 401
    assert the.admit(call(), b"two", service="two") == Caller("10.1.2.3")


@pytest.mark.parametrize("entry", ["10.0.0.0/8", "one", "10.1.2.3"])
def test_unsigned_from_networks_and_for_services(entry: str) -> None:
    """Unsigned calls pass from a listed network, or for a listed service, and are not called signed."""
    assert guard(accept_unsigned=[entry]).admit(call(), b"one", service="one") == Caller("10.1.2.3")


def test_calls_without_a_name_follow_those_with_one() -> None:
    """A service accepted by name may ask for fragments from the same address, while it beats; others may not."""
    clock = [NOW]
    the = guard(accept_unsigned=["one"], clock=lambda: clock[0])
    assert refused(the, call(), service=None).status == 401
    the.admit(call(), b"one", service="one")
    assert the.admit(call(), b"{}") == Caller("10.1.2.3")
    assert refused(the, call(), service="two").status == 401
    assert refused(the, call(client=("10.1.2.4", 1)), service=None).status == 401
    the.admit(call(client=None), b"one", service="one")
    assert refused(the, call(client=None), service=None).status == 401
    clock[0] += 10
    assert refused(the, call(), service=None).status == 401


@pytest.mark.parametrize("entry", ["10.2.0.0/16", "two", "::/0"])
def test_unsigned_from_elsewhere(entry: str) -> None:
    """Others are refused."""
    assert refused(guard(accept_unsigned=[entry]), call()).status == 401


@pytest.mark.parametrize("entry", ["10.1.2.3/8", "a b", "", "*"])
def test_wrong_entries(entry: str) -> None:
    """An entry that is neither a network nor a service name stops start-up."""
    with pytest.raises(ConfigurationError, match="accept_unsigned"):
        guard(accept_unsigned=[entry])


def test_no_secret() -> None:
    """Where no secret is set a signature counts for nothing, good or bad."""
    the = guard(secret="", accept_unsigned=["one"])
    assert the.admit(signed(secret="x"), b"one", service="one") == Caller("10.1.2.3")
    assert refused(the, signed(secret=""), service="two").status == 401


@pytest.mark.parametrize("name", [b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"via", b"x-real-ip", b"Via"])
def test_unsigned_through_a_proxy(name: bytes) -> None:
    """Behind a proxy the caller's address is not known, so unsigned calls are refused; signed ones pass."""
    error = refused(guard(accept_unsigned=["10.0.0.0/8", "one"]), call((name, b"x")))
    assert error.status == 403
    scope = signed()
    scope["headers"].append((name, b"x"))
    assert guard().admit(scope, b"one", service="one").signed


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b""])
def test_pages_are_refused(origin: bytes) -> None:
    """A call from a page in a browser is refused, signed or not."""
    scope = signed()
    scope["headers"].append((b"origin", origin))
    assert refused(guard(accept_unsigned=["one"]), scope).status == 403


@pytest.mark.parametrize("lease", [b"a.b", b"medusa:http://x:1", b"a" * 65, b"\xff"])
def test_wrong_lease_names(lease: bytes) -> None:
    """A lease has a plain name."""
    assert refused(guard(accept_unsigned=["one"]), call((b"hydra-instance", lease))).status == 400


@pytest.mark.parametrize("name", [b"hydra-instance", b"hydra-signature"])
def test_fields_that_appear_twice(name: bytes) -> None:
    """Two values would leave open which one was meant."""
    assert refused(guard(), call((name, b"a"), (name, b"a"))).status == 400


@pytest.mark.parametrize(
    ("client", "ip"),
    [(("10.1.2.3", 1), "10.1.2.3"), (["10.1.2.3", "50000"], "10.1.2.3"), (("::ffff:10.1.2.3", 1), "10.1.2.3"),
     (("0:0:0:0:0:0:0:1", 1), "::1"), (("fe80::1%eth0", 1), "fe80::1"), (("testclient", 1), ""), (("", 0), ""),
     (None, "")],
)  # fmt: skip
def test_caller_ip(client: Any, ip: str) -> None:
    """Servers differ in what they say about the client; the address has one spelling here."""
    assert caller_ip(call(client=client)) == ip


def test_unknown_callers_are_in_no_network() -> None:
    """A caller whose address the server does not know is in no network, but a listed service is still listed."""
    assert refused(guard(accept_unsigned=["0.0.0.0/0"]), call(client=None)).status == 401
    assert guard(accept_unsigned=["one"]).admit(call(client=None), b"one", service="one") == Caller("")


def test_header_of() -> None:
    """The first field of a name counts, in any case."""
    assert header_of(call((b"X-A", b"1"), (b"x-a", b"2")), b"x-a") == b"1"
    assert header_of(call(), b"x-a") is None
