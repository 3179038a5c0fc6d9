"""Whether this node is a member of the site now, since when, and why not: shared by both ways of joining."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["Membership", "MembershipLog"]

_logger = logging.getLogger("hydra_asgi.service")

Status = Literal["starting", "registered", "unregistered"]


@dataclass(frozen=True, slots=True)
class Membership:
    """The present state.

    Attributes:
        status: `starting` until the first registration, whatever goes wrong before.
        since: when this status began, on the clock of the registrar.
        last_error: why the last attempt failed; kept after recovery, as it says what the outage was.
        peer: who listed us: a gateway's address, or the store.
        token: our name inside URLs, 0 until it is known.
    """

    status: Status = "starting"
    since: float = 0.0
    last_error: str = ""
    peer: str = ""
    token: int = 0


class MembershipLog:
    """Keeps the state, and says each outage twice in the log: when it starts, and when it ends with its length.

    Args:
        service: whose membership.
        clock: seconds that only move forward.
    """

    def __init__(self, service: str, clock: Callable[[], float]) -> None:
        self._service = service
        self._clock = clock
        self._outage_since: float | None = None
        self.state = Membership(since=clock())

    def registered(self, peer: str, token: int) -> None:
        """A registration or a beat succeeded."""
        now = self._clock()
        if self._outage_since is not None:
            length = now - self._outage_since
            _logger.info("%s is registered at %s again after %.1f s", self._service, peer, length)
            self._outage_since = None
        elif self.state.status != "registered":
            _logger.info("%s is registered at %s", self._service, peer)
        since = self.state.since if self.state.status == "registered" else now
        self.state = replace(self.state, status="registered", since=since, peer=peer, token=token or self.state.token)

    def failed(self, error: str) -> None:
        """An attempt failed; it will be made again."""
        now = self._clock()
        if self._outage_since is None:
            self._outage_since = now
            _logger.warning("%s is not registered, trying every second: %s", self._service, error)
        lost = self.state.status == "registered"
        self.state = replace(
            self.state,
            status="unregistered" if lost else self.state.status,
            since=now if lost else self.state.since,
            last_error=error,
        )

    def left(self) -> None:
        """We took ourselves out."""
        self.state = replace(self.state, status="unregistered", since=self._clock())
