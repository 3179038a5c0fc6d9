"""What is known of requests that come again: who sends them, where they lead, and what their instance wants to hear.

Everything here is remembered, and bounded; what depends on the directory is forgotten with the state it came from.
"""

from collections.abc import Callable
from typing import Final

from hydra_asgi.core.directory.directory_state import DirectoryState
from hydra_asgi.core.headers.forwarded import about_hop
from hydra_asgi.core.headers.request_check import USUAL_METHODS, is_host
from hydra_asgi.core.health.instance_record import InstanceRecord
from hydra_asgi.core.instance import Dialect, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.raw_path import PathError, split_raw_path
from hydra_asgi.core.routing.who_answers import elsewhere
from hydra_asgi.gateway.attempts import path_field

__all__ = ["Hop", "Peer", "Peers", "Way", "Ways"]

MAX_REMEMBERED: Final = 4096
"""Peers, and ways. All of them are forgotten at once, which is rare and cheap, and hostile clients gain nothing."""

MAX_PATH_BYTES: Final = 256
"""Longer paths are not remembered: 4,096 of these are a megabyte."""


class Peer:
    """Who sends a request, and under which host.

    Attributes:
        host: the host.
        is_trusted: it is a proxy of ours.
        fields: what an instance is told about this hop, our `Via` included.
    """

    __slots__ = ("fields", "host", "is_trusted")

    def __init__(self, host: bytes, is_trusted: bool, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        self.host = host
        self.is_trusted = is_trusted
        self.fields = fields


class Hop:
    """The way to one instance.

    Attributes:
        instance: the instance, with what is needed of it for each request.
        record: its record; to be asked for again when it `is_forgotten`.
        is_ordinary: it is active, and its requests and pages are passed on as they are.
        wants_key: it is told the weight key.
    """

    __slots__ = ("address", "base", "instance", "is_ordinary", "path_field", "record", "service", "wants_key")

    def __init__(self, instance: ServiceInstance, record: InstanceRecord, *, has_cookie_rule: bool) -> None:
        self.instance = instance
        self.service = instance.service
        self.address = instance.address
        self.base = instance.address.base.encode("latin-1")
        self.path_field = path_field(instance.token)
        self.wants_key = instance.dialect is Dialect.HYDRA
        self.is_ordinary = instance.active and not instance.compose and not has_cookie_rule
        self.record = record


class Way:
    """Where requests for one path and method lead.

    Attributes:
        group: who may answer.
        lone: the way to the one who does, where there is no choice.
    """

    __slots__ = ("group", "lone")

    def __init__(self, group: Group, lone: Hop | None) -> None:
        self.group = group
        self.lone = lone


class Peers(dict[tuple[str, str, bytes], Peer | None]):
    """Who sends a request, by the client's address, the scheme and the host; None where the host is none.

    Args:
        via: our own `Via` field.
        trusted: whether the peer at an IP address is a proxy of ours.
    """

    def __init__(self, via: tuple[bytes, bytes], trusted: Callable[[str], bool]) -> None:
        super().__init__()
        self._via = via
        self._trusted = trusted

    def __missing__(self, name: tuple[str, str, bytes]) -> Peer | None:
        client, scheme, host = name
        if not is_host(host):
            return None
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        fields = (*about_hop(client, scheme, host), self._via)
        peer = self[name] = Peer(host, self._trusted(client), fields)
        return peer


class Ways(dict[tuple[str, bytes, bytes], Way | None]):
    """Where requests lead by method, raw path and host, in one state of the directory.

    None stands for those that are not for another service whoever sends them.

    Args:
        state: the directory's.
        record: the record of an instance.
        has_cookie_rule: whether a service gets only some of the cookies.

    Attributes:
        state: what all of this holds for.
    """

    def __init__(
        self,
        state: DirectoryState,
        record: Callable[[ServiceInstance], InstanceRecord],
        has_cookie_rule: Callable[[str], bool],
    ) -> None:
        super().__init__()
        self.state = state
        self._record = record
        self._has_cookie_rule = has_cookie_rule
        self._hops: dict[int, Hop] = {}

    def __missing__(self, name: tuple[str, bytes, bytes]) -> Way | None:
        method, raw, host = name
        if method not in USUAL_METHODS or not raw:
            return None
        try:
            group = elsewhere(self.state, split_raw_path(raw), method, host=host.decode("latin-1"))
        except PathError:
            return None
        way = None if group is None else Way(group, self.hop(_lone(group)))
        if len(raw) <= MAX_PATH_BYTES:
            if len(self) >= MAX_REMEMBERED:
                self.clear()
            self[name] = way
        return way

    def hop(self, instance: ServiceInstance | None) -> Hop | None:
        """The way to an instance of the state."""
        if instance is None:
            return None
        # By identity, because comparing instances is slow; the state keeps them alive.
        hop = self._hops.get(id(instance))
        if hop is None:
            has_rule = self._has_cookie_rule(instance.service)
            hop = self._hops[id(instance)] = Hop(instance, self._record(instance), has_cookie_rule=has_rule)
        return hop


def _lone(group: Group) -> ServiceInstance | None:
    """The only instance that any user can get."""
    if group.conditions or len(group.versions) != 1 or len(group.versions[0].members) != 1:
        return None
    return group.versions[0].members[0].instance
