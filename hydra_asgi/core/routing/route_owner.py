"""Who answers a route that several instances declare: for each method one service, and its instances that declare it.

Two services may share a path, one with GET and one with POST. Where their methods overlap the older service wins, and
the overlap is reported.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from hydra_asgi.core.instance import Route, RouteKind, ServiceInstance
from hydra_asgi.core.routing.balance import Group

__all__ = ["Claim", "Conflict", "Declaration", "GroupOf", "Match", "Owners", "settle"]

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

    def __str__(self) -> str:
        """For the operator."""
        methods = "ANY" if self.methods is None else ",".join(sorted(self.methods))
        kind = "WEBSOCKET" if self.kind is RouteKind.WEBSOCKET else methods
        route = f"{kind} {self.host or ''}{self.template}"
        return f"{route} is published by {self.winner} and by {self.loser}; {self.winner} answers it, which came first"


class Declaration(NamedTuple):
    """A route and an instance that declares it. A tuple, because a large directory has them by the ten thousand.

    Attributes:
        methods: the route's methods; None for any, and for a WebSocket, whose handshake has none to tell apart.
    """

    instance: ServiceInstance
    route: Route
    methods: frozenset[str] | None


class Claim(NamedTuple):
    """Some methods of a route, None for any, and who answers them."""

    methods: frozenset[str] | None
    match: Match


class Owners(NamedTuple):
    """The owners of one route. A tuple of few parts: a large directory has them by the ten thousand.

    Attributes:
        path: the oldest service and all its instances here, whatever the method.
        methods: those that `path` answers as it is, None for any; nearly always all that there are.
        claims: who answers others; the first one that fits counts.
        rivals: the other services that declare this route, in vain or not.
        conflicts: the overlaps.
    """

    path: Match
    methods: frozenset[str] | None
    claims: tuple[Claim, ...] = ()
    rivals: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    def owner(self, method: str) -> Match | None:
        """Who answers the method; None for nobody."""
        if self.methods is None or method in self.methods:
            return self.path
        for methods, match in self.claims:
            if methods is None or method in methods:
                return match
        return None

    def refuse(self) -> Match:
        """Who answers a method that nobody takes: the oldest service, whose app says 405. Made when it is needed."""
        return replace(self.path, method_allowed=False)


_NONE: frozenset[str] = frozenset()


def settle(declarations: Sequence[Declaration], group_of: GroupOf) -> Owners:
    """Decide who owns a route, and name the overlaps.

    Args:
        declarations: at least one; the services in their order of precedence, the instances of each oldest first.
        group_of: see `GroupOf`.
    """
    # They stand service by service, so equal ends mean a single service: the usual case, made cheap.
    if declarations[0].instance.service == declarations[-1].instance.service:
        return _of_one(declarations, group_of)
    by_service = [list(own) for _, own in groupby(declarations, key=lambda declaration: declaration.instance.service)]
    first, *others = (_of_one(own, group_of) for own in by_service)
    claims = (*first.claims, *(claim for other in others for claim in _claims(other)))
    rivals = tuple(own[0].instance.service for own in by_service[1:])
    return Owners(first.path, first.methods, claims, rivals, tuple(_conflicts(by_service)))


def _claims(owners: Owners) -> Iterator[Claim]:
    yield Claim(owners.methods, owners.path)
    yield from owners.claims


def _of_one(declarations: Sequence[Declaration], group_of: GroupOf) -> Owners:
    """What one service takes of a route."""
    first = declarations[0]
    service, template, methods = first.instance.service, first.route.template, first.methods
    path = Match(service, template, group_of([declaration.instance for declaration in declarations]))
    for declaration in declarations:
        # Nearly always the very same object, which says so at once.
        if declaration.methods is not methods and declaration.methods != methods:
            break
    else:
        return Owners(path, None if methods is None else _with_head(methods))
    named = {method for declaration in declarations for method in _with_head(declaration.methods or _NONE)}
    claims = [(frozenset({method}), [one for one in declarations if _takes(one, method)]) for method in sorted(named)]
    takes_any = [declaration for declaration in declarations if declaration.methods is None]
    every = [*claims, (None, takes_any)] if takes_any else claims
    return Owners(
        path,
        _NONE,
        tuple(
            Claim(methods, Match(service, template, group_of([declaration.instance for declaration in chosen])))
            for methods, chosen in every
        ),
    )


def _takes(declaration: Declaration, method: str) -> bool:
    return declaration.methods is None or method in _with_head(declaration.methods)


@lru_cache(maxsize=256)  # sites have few different sets, and tables many routes with each of them
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
