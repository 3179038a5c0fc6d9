"""Who answers a route that several instances declare: for each method one service, and its instances that declare it.

Two services may share a path, one with GET and one with POST. Where their methods overlap the older service wins, and
the overlap is reported.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

from hydra_asgi.core.instance import Route, RouteKind, ServiceInstance
from hydra_asgi.core.routing.balance import Group

__all__ = ["Conflict", "Declaration", "GroupOf", "Match", "Owners", "settle"]

GroupOf = Callable[[Sequence[ServiceInstance]], Group]
"""Makes the group of some instances of one service, given oldest first; one that is given twice counts once."""


@dataclass(frozen=True, slots=True)
class Match:
    """The answer to "whose is this request?"; made when the table is built, so that a match allocates none.

    Attributes:
        service: the service that owns the route.
        template: the route as its oldest instance wrote it.
        group: the service's instances that declare the route.
        method_allowed: False: the path is theirs, the method is not, and the app's own 405 is the answer.
    """

    service: str
    template: str
    group: Group
    method_allowed: bool = True


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two services declare the same route.

    Attributes:
        template: the route as the winner wrote it.
        kind: HTTP or WebSocket.
        host: the host or host pattern of the route, None for any.
        methods: what both declare and the winner answers; None for every method that is left.
        winner: the service that answers, the older one.
        loser: the other.
    """

    template: str
    kind: RouteKind
    host: str | None
    methods: frozenset[str] | None
    winner: str
    loser: str


class Declaration(NamedTuple):
    """A route and an instance that declares it. A tuple, because a large directory has them by the ten thousand.

    Attributes:
        methods: the route's methods; None for any, and for a WebSocket, whose handshake has none to tell apart.
    """

    instance: ServiceInstance
    route: Route
    methods: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Owners:
    """The owners of one route.

    Attributes:
        by_method: for every method that is named by somebody.
        other: for the other methods; None when nobody takes them.
        path: the oldest service and all its instances here, whatever the method.
    """

    by_method: Mapping[str, Match]
    other: Match | None
    path: Match

    def owner(self, method: str) -> Match | None:
        """Who answers the method; None for nobody."""
        return self.by_method.get(method, self.other)

    def refuse(self) -> Match:
        """Who answers a method that nobody takes: the oldest service, whose app says 405. Made when it is needed."""
        return replace(self.path, method_allowed=False)


def settle(declarations: Sequence[Declaration], group_of: GroupOf) -> tuple[Owners, Sequence[Conflict]]:
    """Decide who owns a route, and name the overlaps.

    Args:
        declarations: at least one; the services in their order of precedence, the instances of each oldest first.
        group_of: see `GroupOf`.
    """
    # They stand service by service, so equal ends mean a single service: the usual case, made cheap.
    if declarations[0].instance.service == declarations[-1].instance.service:
        return _claim(declarations, group_of), ()
    by_service = [list(own) for _, own in groupby(declarations, key=lambda declaration: declaration.instance.service)]
    claims = [_claim(own, group_of) for own in by_service]
    named = {method for claim in claims for method in claim.by_method}
    owners = {method: next(filter(None, (claim.owner(method) for claim in claims))) for method in named}
    other = next((claim.other for claim in claims if claim.other is not None), None)
    return Owners(owners, other, claims[0].path), tuple(_conflicts(by_service))


def _claim(declarations: Sequence[Declaration], group_of: GroupOf) -> Owners:
    """What one service takes of a route."""
    first = declarations[0]
    service, template, methods = first.instance.service, first.route.template, first.methods

    def match(chosen: Iterable[Declaration]) -> Match:
        return Match(service, template, group_of([declaration.instance for declaration in chosen]))

    every = match(declarations)
    if all(declaration.methods == methods for declaration in declarations):  # the usual case, made cheap
        if methods is None:
            return Owners({}, every, every)
        return Owners(dict.fromkeys(_with_head(methods), every), None, every)
    named = {method for declaration in declarations for method in _with_head(declaration.methods or frozenset())}
    takes_any = [declaration for declaration in declarations if declaration.methods is None]
    return Owners(
        {method: match(one for one in declarations if _takes(one, method)) for method in named},
        match(takes_any) if takes_any else None,
        every,
    )


def _takes(declaration: Declaration, method: str) -> bool:
    return declaration.methods is None or method in _with_head(declaration.methods)


def _with_head(methods: frozenset[str]) -> frozenset[str]:
    """HEAD is answered wherever GET is (RFC 9110 section 9.3.2)."""
    return methods | {"HEAD"} if "GET" in methods else methods


def _conflicts(by_service: Sequence[Sequence[Declaration]]) -> Iterator[Conflict]:
    """What each service declares in vain, and who answers it instead."""
    claims = [(own[0], _all_methods(own)) for own in by_service]
    for index, (loser, declared) in enumerate(claims):
        left = declared
        for winner, taken in claims[:index]:
            overlap = _overlap(taken, left)
            if overlap is None or overlap:
                route = winner.route
                names = (winner.instance.service, loser.instance.service)
                yield Conflict(route.template, route.kind, route.host, overlap, *names)
            if taken is None:
                break  # an older service takes everything that was left
            left = left and left - taken


def _all_methods(declarations: Iterable[Declaration]) -> frozenset[str] | None:
    every: frozenset[str] = frozenset()
    for declaration in declarations:
        if declaration.methods is None:
            return None
        every |= _with_head(declaration.methods)
    return every


def _overlap(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None:
        return other
    return one if other is None else one & other
