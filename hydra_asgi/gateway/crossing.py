"""What is special to a service in what crosses a gateway: its cookies, our proof to it, the addresses it gives away."""

import time
from collections.abc import Callable, Mapping, Set

from hydra_asgi.core.admission.gateway_proof import HEADER, MINUTE, minute_of, prove
from hydra_asgi.core.directory.directory_state import DirectoryState
from hydra_asgi.core.headers.cookie_policy import allowed_for, only_cookies
from hydra_asgi.core.headers.public_location import InternalOrigins
from hydra_asgi.core.instance import Dialect, ServiceInstance
from hydra_asgi.ports import Clock, Headers

__all__ = ["Crossing"]


class Crossing:
    """Adds to a request, and takes from it and from its answer, what depends on the service.

    Args:
        state: the directory's present state, whose instances' addresses are not for the public; None: there is none.
        cookies: service name or `*` -> the cookies it gets; all of them where nothing is said.
        secret: what we share with a service; empty proves nothing.
        gateway: our name: letters, digits and `._~-`, at most 64.
        wall: unix seconds.
        clock: seconds that only move forward.
    """

    def __init__(
        self,
        state: Callable[[], DirectoryState] | None = None,
        *,
        cookies: Mapping[str, Set[str]] | None = None,
        secret: Callable[[str], str] = lambda service: "",
        gateway: str = "",
        wall: Clock = time.time,
        clock: Clock = time.monotonic,
    ) -> None:
        self._state = state
        self._cookies = cookies or {}
        self._secret = secret
        self._gateway = gateway
        self._wall = wall
        self._clock = clock
        self._proofs: dict[str, tuple[bytes, bytes]] = {}
        self._proven_until = -1.0
        self._known: DirectoryState | None = None
        self._origins = InternalOrigins()

    def has_cookie_rule(self, service: str) -> bool:
        """Whether cookies have to be looked at before a request to the service goes on."""
        return allowed_for(self._cookies, service) is not None

    def request_fields(self, fields: Headers, service: str) -> Headers:
        """A request's fields, with lower-case names, with those cookies that the service gets."""
        allowed = allowed_for(self._cookies, service)
        return fields if allowed is None else only_cookies(fields, allowed)

    def proof(self, instance: ServiceInstance) -> tuple[bytes, bytes] | None:
        """The field that proves us to an instance; None where it would not understand, or we share no secret."""
        if instance.dialect is not Dialect.HYDRA:
            return None
        if self._clock() >= self._proven_until:
            self._proofs.clear()
            self._proven_until = self._clock() + MINUTE - self._wall() % MINUTE
        found = self._proofs.get(instance.service)
        return self._prove(instance.service) if found is None else found

    def response_fields(self, fields: Headers, instance: ServiceInstance | None) -> Headers:
        """The fields of an instance's answer, with lower-case names, without addresses that only we can reach."""
        base = b"" if instance is None else instance.address.base.encode("latin-1", "replace")
        return self._internal().made_public(fields, base)

    def _prove(self, service: str) -> tuple[bytes, bytes] | None:
        secret = self._secret(service)
        if not secret:
            return None
        minute = minute_of(self._wall())
        found = self._proofs[service] = (
            HEADER,
            prove(secret, gateway=self._gateway, service=service, minute=minute),
        )
        return found

    def _internal(self) -> InternalOrigins:
        state = None if self._state is None else self._state()
        if state is not None and state is not self._known:
            self._origins = InternalOrigins.of(one.address for one in state.snapshot.instances)
            self._known = state
        return self._origins
