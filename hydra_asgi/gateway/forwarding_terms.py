"""How a node forwards, be it a request or a WebSocket: what it says of itself, whom it trusts, how long it waits."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.field_names import FieldNames
from hydra_asgi.core.headers.header_policy import hops_are_spent, loops, request_headers
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.attempts import DEADLINE_SECONDS, Attempts
from hydra_asgi.gateway.crossing import Crossing
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.gateway.observation import OnRecord, Reporter
from hydra_asgi.ports import Clock, Headers, Timeouts, Upstream

__all__ = ["ForwardingTerms"]

_HTTP = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingTerms:
    """What forwarding requests and forwarding WebSockets have in common.

    Attributes:
        pseudonym: this node's name in `Via`, a token; two nodes may not have the same.
        trusted: whether the peer at an IP address is a proxy of ours, whose word on the client is kept.
        vouch: called with the token of an inactive instance that answered, so that it stays listed.
        timeouts: for active instances. An open WebSocket may be silent as long as it likes.
        deadline: seconds within which the last attempt must have begun to answer.
        health: what is known about instances; to be shared with whatever else asks them.
        crossing: what is special to a service in what crosses.
        on_record: gets a record of each request when it is over.
        log: gets a line about each request when it is over; one at WARNING where it could not be served.
        clock: seconds that only move forward.
    """

    pseudonym: str
    trusted: Callable[[str], bool]
    vouch: Callable[[int], None]
    timeouts: Timeouts = Timeouts()  # noqa: RUF009 -- a frozen value
    deadline: float = DEADLINE_SECONDS
    health: InstanceHealth = field(default_factory=InstanceHealth)
    crossing: Crossing = field(default_factory=Crossing)
    on_record: OnRecord | None = None
    log: logging.Logger = logging.getLogger("hydra_asgi.access")  # noqa: RUF009 -- the same object at each call
    clock: Clock = time.monotonic

    @property
    def via(self) -> tuple[bytes, bytes]:
        """Our own `Via` field."""
        return (b"via", b"1.1 " + self.pseudonym.encode("latin-1"))

    def attempts(self, upstream: Upstream, *, waits_for_body: bool = False) -> Attempts:
        """What asks instances in turn; see `Attempts`."""
        return Attempts(
            upstream,
            self.health,
            timeouts=self.timeouts,
            deadline=self.deadline,
            vouch=self.vouch,
            clock=self.clock,
            waits_for_body=waits_for_body,
        )

    def reporter(self) -> Reporter:
        """What tells about requests that are over."""
        return Reporter(self.log, self.on_record)

    def refuse_loops(self, headers: Headers, names: FieldNames) -> None:
        """Refuse a request that has passed this node before, or may pass no more nodes.

        Args:
            headers: of the request.
            names: those of `headers`.

        Raises:
            UpstreamError: LOOP.
        """
        if b"via" in names.places and loops(headers, self.pseudonym):
            raise UpstreamError(ErrorKind.LOOP, f"the request passed {self.pseudonym} before")
        if b"max-forwards" in names.places and hops_are_spent(headers):
            raise UpstreamError(ErrorKind.LOOP, "Max-Forwards is used up")

    def request_fields(self, scope: Mapping[str, Any], names: FieldNames, service: str) -> Headers:
        """What an instance of a service is sent of a request's fields.

        Args:
            scope: of the request.
            names: those of its fields.
            service: whose instance.
        """
        headers, client = scope["headers"], scope.get("client")
        peer = str(client[0]) if client else ""
        scheme = scope.get("scheme", "http" if scope["type"] == "http" else "ws")
        hosts = names.values(headers, b"host")
        fields = request_headers(
            headers,
            client=peer,
            scheme=_HTTP.get(scheme, scheme),
            host=hosts[0] if hosts else _own_host(scope),
            via=self.via[1],
            trusted=bool(peer) and self.trusted(peer),
            names=names,
        )
        return self.crossing.request_fields(fields, service)


def _own_host(scope: Mapping[str, Any]) -> bytes:
    """HTTP/1.0 clients name no host, so it is the address they came to."""
    server = scope.get("server")
    if not server or not server[1]:
        return b"localhost"
    host, port = server
    return f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()
