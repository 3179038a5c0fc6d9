"""Who answers a request: one decision from one table, made before anything is awaited.

In this order: a known instance's or service's own paths (`/{token}/...`, `/{service}/static/...`); the route table, in
which the mounted app stands with the same rights as everybody else; a route that was known within the last hour, which
is unavailable and not unknown; and at last the mounted app, whose 404 is its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from hydra_asgi.core.directory.directory_state import DirectoryState
from hydra_asgi.core.instance import Dialect, RouteKind, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.conditions import forced_version
from hydra_asgi.core.routing.token import parse_token

__all__ = ["Addressed", "Forward", "Local", "Unavailable", "elsewhere", "who_answers"]


class Addressed(Enum):
    """What the first segment of a path says besides the path."""

    NOTHING = "nothing"
    TOKEN = "token"  # noqa: S105 - an instance's name in URLs, no secret
    """It names one instance; the rest names one of its resources."""
    SERVICE = "service"
    """It names a service; the rest, `/static/...`, names one of its files."""


@dataclass(frozen=True, slots=True)
class Local:
    """The mounted app answers.

    Attributes:
        known: a route of the app matched; False: nothing did, and the app may say 404.
        addressed: whether the path's first segment is the app's own address.
    """

    known: bool
    addressed: Addressed = Addressed.NOTHING


@dataclass(frozen=True, slots=True)
class Forward:
    """Another instance answers.

    Attributes:
        group: the instances among which the key decides.
        instance: the one the key picked first.
        addressed: whether the path's first segment is an address.
    """

    group: Group
    instance: ServiceInstance
    addressed: Addressed = Addressed.NOTHING


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The route is known, and nobody is there to answer it.

    Attributes:
        service: whose route it is.
        why: one sentence for the visitor.
    """

    service: str
    why: str


def who_answers(
    state: DirectoryState,
    segments: tuple[str, ...],
    method: str,
    *,
    key: str,
    kind: RouteKind = RouteKind.HTTP,
    host: str = "",
    chosen: int = 0,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> Local | Forward | Unavailable:
    """Decide.

    Args:
        state: the directory.
        segments: the path, split and decoded.
        method: upper-case.
        key: the user's weight key; picks the version and the instance.
        kind: HTTP or WebSocket.
        host: the request's host.
        chosen: the token of the instance that the node before us has chosen; 0 for none.
        headers: the request's; read only where central settings give some users a version by a header or a cookie.
    """
    how, group = _addressed(state, segments) if len(segments) > 1 else (Addressed.NOTHING, None)
    if group is None:
        how = Addressed.NOTHING
        match = state.table.match(segments, method, kind=kind, host=host)
        group = _steered(match.group, headers) if match is not None else None
        if group is not None and group.is_drained:
            # Nobody takes requests: what this node can answer itself it does, its health page above all.
            if state.own in group.instances:
                return Local(known=True)
            return Unavailable(group.service, "takes no requests at the moment")
    else:
        group = _steered(group, headers)
    if chosen and group is not None and _is_chosen(state, chosen) and state.own in group.instances:
        # Two nodes that know different directories for a moment would send it to and fro. Whoever made this up gets no
        # more than what the app publishes and owns.
        return Local(known=True, addressed=how)
    picked = group.pick(key) if group is not None else None
    if group is not None and picked is not None:
        own = state.own
        if own is not None and _is_as_good(own, picked, group):
            return Local(known=True, addressed=how)
        return Forward(group, picked, how)
    gone = state.departed.match(segments, method, kind=kind, host=host)
    if gone is not None:
        return Unavailable(gone.service, "is not available at the moment")
    return Local(known=False)


def elsewhere(state: DirectoryState, segments: tuple[str, ...], method: str, *, host: str = "") -> Group | None:
    """The group of another service that answers such requests, whoever sends them; None: only `who_answers` can tell.

    Conditions are not looked at, so whoever gets a group steers it. The rest holds for as long as the state does.

    Args:
        state: the directory.
        segments: the path, split and decoded.
        method: upper-case.
        host: the requests' host.
    """
    if len(segments) > 1 and _addressed(state, segments)[1] is not None:
        return None
    match = state.table.match(segments, method, host=host)
    if match is None or (state.own is not None and state.own.service == match.service):
        return None
    return match.group


def _steered(group: Group, headers: Iterable[tuple[bytes, bytes]]) -> Group:
    return group.steered(forced_version(group.conditions, headers)) if group.conditions else group


def _is_chosen(state: DirectoryState, chosen: int) -> bool:
    return state.own is not None and state.own.token == chosen


def _is_as_good(own: ServiceInstance, picked: ServiceInstance, group: Group) -> bool:
    """Whether the mounted app may answer in the place of an instance: the user's version is what counts, and another
    instance of it costs a way through the network that does nothing for the user.
    """
    if own.service != picked.service or own.version != picked.version:
        return False
    return own.token == picked.token or (own.weight > 0 and own in group.instances)


def _addressed(state: DirectoryState, segments: tuple[str, ...]) -> tuple[Addressed, Group | None]:
    """Whom a path names by its first segments."""
    token = parse_token(segments[0])
    if token is not None and (instance := state.table.by_token(token)) is not None:
        # A drained instance keeps its sockets and files: draining is about new users.
        return Addressed.TOKEN, Group.build([replace(instance, weight=1.0)])
    # The folder itself is no file: `/orders/static` may be somebody's `/orders/{id}`.
    is_file = segments[1] == "static" and any(segments[2:])
    group = state.table.service(segments[0]) if is_file else None
    # Whoever speaks nothing but HTTP has files under its name only where its routes say so.
    if group is not None and group.instances[0].dialect is not Dialect.PLAIN:
        return Addressed.SERVICE, None if group.is_drained else group
    return Addressed.NOTHING, None
