"""Who may call the control plane: the path key, the signature, and the rules for calls without one."""

import hmac
import ipaddress
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asgiref.typing import HTTPScope

from hydra_asgi.core.admission.recent import Recent
from hydra_asgi.core.admission.signature import WINDOW, Judgement, Verdict, split_lease_nonce, verify
from hydra_asgi.core.headers.passed_on import proxy_field
from hydra_asgi.core.service_name import check_service_name
from hydra_asgi.errors import ConfigurationError, HydraError, RefusedError

__all__ = ["ALREADY_USED", "NONCE_SECONDS", "Caller", "Guard", "caller_ip", "header_of"]

MAX_NONCES = 100_000
"""Nonces of one window. Only signed calls are remembered, so strangers cannot fill it."""

NONCE_SECONDS = 2 * WINDOW
"""A signature may be dated up to one window ahead of us, so it stays good for up to two."""

NAMED_SECONDS = 10.0
"""A Medusa beats every 3 s and is forgotten after 10 s of silence."""

_KEY = re.compile(r"[A-Za-z0-9._~-]*")
_LEASE = re.compile(r"[A-Za-z0-9_-]{1,64}")

ALREADY_USED = "this signature was used before; sign each call anew"
"""Why a replayed call is refused."""

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        ip: the address of the connection's other end, `""` when the server does not know it.
        signed: the call carries a good signature.
        lease: the lease it names in `Hydra-Instance`, `""` for none. Covered by the signature when there is one.
        nonce: of a signed call that names no lease; `""` for every other.
        counter: of a signed call that names its lease; 0 for every other.
    """

    ip: str
    signed: bool = False
    lease: str = ""
    nonce: str = ""
    counter: int = 0


class Guard:
    """Admits callers, or refuses them with the reason.

    Args:
        key: the path key; `""` admits nobody. Letters, digits and `._~-`, because Java peers put it into URLs as it is.
        secret: what members sign with; `""` means that no signature is ever good.
        accept_unsigned: networks (`10.0.0.0/8`) and service names whose calls need no signature.
        service_secrets: secrets of single services, one or several. Such a service must use one of its own, and nobody
            else's will do.
        clock: unix seconds, to judge the age of signatures.
        window: seconds a signature is good for.
        max_nonces: how many calls without a lease, and how many leases, are remembered for the window.

    Raises:
        ConfigurationError: the key cannot be part of a URL, or an entry of `accept_unsigned` is neither.
    """

    def __init__(
        self,
        *,
        key: str,
        secret: str,
        accept_unsigned: Sequence[str] = (),
        service_secrets: Mapping[str, Sequence[str] | str] | None = None,
        clock: Callable[[], float] = time.time,
        window: float = WINDOW,
        max_nonces: int = MAX_NONCES,
    ) -> None:
        if not _KEY.fullmatch(key):
            raise ConfigurationError("the key may only hold letters, digits and the characters . _ ~ -")
        self._key = key.encode()
        self._secret = secret
        given = (service_secrets or {}).items()
        self._service_secrets = {name: [own] if isinstance(own, str) else list(own) for name, own in given}
        self._networks, self._services = _split_unsigned(accept_unsigned)
        self._clock = clock
        self._window = window
        self._nonces: Recent[str, bool] = Recent(seconds=2 * window, size=max_nonces)
        self._counters: Recent[str, int] = Recent(seconds=2 * window, size=max_nonces)
        self._named: Recent[str, bool] = Recent(seconds=NAMED_SECONDS, size=max_nonces)

    def trust(self, key: str, secret: str) -> None:
        """Take key and secret that became known only now; for what they are see the arguments."""
        self._key = key.encode()
        self._secret = secret

    @property
    def now(self) -> float:
        """Unix seconds, as this guard sees them."""
        return self._clock()

    def check_key(self, key: str) -> bool:
        """Whether this is the path key, in constant time. Without a key of our own nothing matches."""
        matches = hmac.compare_digest(self._key, key.encode("utf-8", "surrogatepass"))
        return matches and bool(self._key)

    def admit(self, scope: HTTPScope, body: bytes, *, service: str | None = None) -> Caller:
        """Decide about one call whose path key is right and whose body is there.

        Args:
            scope: ASGI's.
            body: the whole body; it is signed.
            service: whom the call speaks for, None when it names nobody.

        Raises:
            RefusedError: 401 with a signature that is missing, wrong, old or used; 403 from a browser, or unsigned
                through a proxy; 503 while more calls arrive than can be remembered.
        """
        if header_of(scope, b"origin") is not None:
            # Browsers add Origin to every POST and DELETE; no peer of ours does (cross-site request forgery).
            raise RefusedError(403, "the control plane does not answer pages: the call carries an Origin field")
        lease = _one(scope, b"hydra-instance")
        if lease and not _LEASE.fullmatch(lease):
            raise RefusedError(400, "Hydra-Instance is 1 to 64 letters, digits, _ or -")
        signature = _one(scope, b"hydra-signature")
        if signature and (self._secret or self._service_secrets):
            verdict = self._judge(signature, scope, body, service)
            counter = self._remember(verdict, lease)
            return Caller(caller_ip(scope), True, lease, "" if lease else verdict.nonce, counter)
        self._accept_unsigned(scope, service)
        return Caller(caller_ip(scope), lease=lease)

    def _judge(self, signature: str, scope: HTTPScope, body: bytes, service: str | None) -> Verdict:
        verdict = Verdict(Judgement.WRONG)
        for secret in self._secrets_of(service):
            verdict = verify(
                secret,
                signature,
                method=scope["method"],
                path=scope["path"],
                body=body,
                now=self._clock(),
                window=self._window,
            )
            if verdict.judgement is not Judgement.WRONG:
                break
        match verdict.judgement:
            case Judgement.GOOD:
                return verdict
            case Judgement.STALE:
                raise RefusedError(401, f"the signature is older or newer than {self._window:g} s; see Hydra-Time")
            case Judgement.MALFORMED:
                raise RefusedError(401, "Hydra-Signature is not of the form v1;t=<seconds>;n=<nonce>;s=<hex>")
            case _:
                whose = f"the secret of {service!r}" if service in self._service_secrets else "our secret"
                raise RefusedError(401, f"the signature was not made with {whose} for this method, path and body")

    def _secrets_of(self, service: str | None) -> Sequence[str]:
        if service is None:
            own = (secret for secrets in self._service_secrets.values() for secret in secrets)
            return [secret for secret in (self._secret, *own) if secret]
        return self._service_secrets.get(service, [self._secret])

    def _remember(self, verdict: Verdict, lease: str) -> int:
        """Take note of a call, once; returns its counter, 0 for one without a lease."""
        now = self._clock()
        counted = split_lease_nonce(verdict.nonce)
        if lease:
            if counted is None or counted[0] != lease:
                raise RefusedError(401, "the nonce of a call with Hydra-Instance is <lease id>.<counter>")
            self._count(lease, counted[1], now)
            return counted[1]
        if "." in verdict.nonce:
            # Else a beat could be sent a second time by leaving out the field that its counter belongs to.
            raise RefusedError(401, "the nonce belongs to a lease, but Hydra-Instance is missing")
        if self._nonces.get(verdict.nonce, now):
            raise RefusedError(401, ALREADY_USED)
        if self._nonces.is_full(now):
            raise RefusedError(503, "more signed calls than can be remembered; try again in a second")
        self._nonces.put(verdict.nonce, True, now)
        return 0

    def _count(self, lease: str, counter: int, now: float) -> None:
        last = self._counters.get(lease, now)
        if last is None and self._counters.is_full(now):
            raise RefusedError(503, "more leases than can be remembered; try again in a second")
        if last is not None and counter <= last:
            raise RefusedError(401, ALREADY_USED)
        self._counters.put(lease, counter, now)

    def _accept_unsigned(self, scope: HTTPScope, service: str | None) -> None:
        if service in self._service_secrets:
            raise RefusedError(401, f"calls for {service!r} must be signed with its own secret")
        proxied = proxy_field(list(scope["headers"]))
        if proxied is not None:
            # What a proxy passes on has the proxy's address, so the caller's is not known.
            said = proxied.decode("latin-1")
            raise RefusedError(403, f"an unsigned call may not come through a proxy, it carries {said[:80]!r}")
        ip = caller_ip(scope)
        if service in self._services:
            self._named.put(ip, True, self._clock())
            return
        # A fragment request names no asker, so whoever was accepted by name from there a moment ago may ask too.
        was_named = service is None and bool(ip) and self._named.get(ip, self._clock())
        if was_named or self._is_accepted_network(ip):
            return
        if header_of(scope, b"hydra-signature") is not None:
            raise RefusedError(401, "the signature cannot be checked without a secret; set HYDRA_SECRET here")
        raise RefusedError(401, "the call is not signed; set HYDRA_SECRET there, or accept_unsigned here")

    def _is_accepted_network(self, ip: str) -> bool:
        if not ip or not self._networks:
            return False
        address = ipaddress.ip_address(ip)
        return any(address in network for network in self._networks)


def caller_ip(scope: HTTPScope) -> str:
    """The IP address of the connection's other end in canonical form, `""` when unknown (Unix socket, test client).

    An IPv4 address inside IPv6 is taken out, a zone is left out.
    """
    client = scope.get("client")
    if not client:
        return ""
    try:
        address = ipaddress.ip_address(str(client[0]).partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def header_of(scope: HTTPScope, name: bytes) -> bytes | None:
    """The first field of that (lower-case) name, None when there is none."""
    return next((value for key, value in scope["headers"] if key.lower() == name), None)


def _one(scope: HTTPScope, name: bytes) -> str:
    values = [value for key, value in scope["headers"] if key.lower() == name]
    if len(values) > 1:
        raise RefusedError(400, f"{name.decode()} appears {len(values)} times")
    return values[0].decode("latin-1").strip() if values else ""


def _split_unsigned(entries: Sequence[str]) -> tuple[tuple[IPNetwork, ...], frozenset[str]]:
    networks: list[IPNetwork] = []
    services: list[str] = []
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry))
            continue
        except ValueError:
            pass
        try:
            services.append(check_service_name(entry))
        except HydraError:
            raise ConfigurationError(
                f"accept_unsigned: {entry[:80]!r} is neither a network such as 10.0.0.0/8 nor a service name"
            ) from None
    return tuple(networks), frozenset(services)
