"""Says who answers a request and why: the decision of every node, with its reasons.

The decision itself is made by the code that nodes make it with; only the sentences are made here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from hydra_asgi.cli.rival_routes import Request, is_toggled, near_misses, rivals
from hydra_asgi.cli.settings_words import condition_text, percent, shares_text
from hydra_asgi.cli.site_view import state_of, version_shares
from hydra_asgi.core.directory.directory_state import build_state
from hydra_asgi.core.instance import ServiceInstance, Snapshot
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.conditions import forced_version
from hydra_asgi.core.routing.route_owner import Match
from hydra_asgi.core.routing.shares import central_shares
from hydra_asgi.core.routing.who_answers import Addressed, Forward, who_answers
from hydra_asgi.core.service_settings import ServiceSettings

__all__ = ["Explanation", "Turn", "explain_request"]

MAX_RIVALS = 8
"""Routes beside the one that answers; a site with a catch-all in each service has more than anybody reads."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one instance has to do with the request.

    Attributes:
        instance: the instance.
        place: 1 for the one that answers, 2 for the one that is tried when that fails; 0 for none, or undecided.
        users: the part of all such users, from 0 to 1, that it answers.
        why: in one word or two: `answers`, `next`, `drained`, `inactive`, `no share`.
    """

    instance: ServiceInstance
    place: int
    users: float
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Who answers, and why.

    Attributes:
        outcome: `answered`, `unavailable` or `unknown`.
        summary: one sentence.
        service: whose the request is; empty when it is nobody's.
        template: the route that matched; empty for files and unknown paths.
        instance: who answers; None when that depends on the user, or nobody does.
        reasons: sentences, in the order in which a node decides.
        turns: every instance that has the route.
    """

    outcome: str
    summary: str
    service: str = ""
    template: str = ""
    instance: ServiceInstance | None = None
    reasons: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """One request to one directory.

    Attributes:
        snapshot: the directory.
        request: what routes see of the request.
        key: the user's weight key, or "" for any user.
        headers: the request's.
    """

    snapshot: Snapshot
    request: Request
    key: str
    headers: Sequence[tuple[bytes, bytes]] = field(default_factory=list)


def explain_request(
    snapshot: Snapshot, request: Request, *, key: str = "", headers: Sequence[tuple[bytes, bytes]] = ()
) -> Explanation:
    """Decide as a node does, and say why.

    Args:
        snapshot: the directory.
        request: path, method, kind and host.
        key: the user's weight key; "" to say what is true of all users.
        headers: names in lower case; conditions look at them.
    """
    case = _Case(snapshot, request, key, headers)
    state = build_state(snapshot, ())
    decision = who_answers(
        state,
        request.segments,
        request.method,
        key=key,
        kind=request.kind,
        host=request.host,
        headers=headers,
    )
    if isinstance(decision, Forward) and decision.addressed is Addressed.TOKEN:
        return _of_token(decision.instance)
    if isinstance(decision, Forward) and decision.addressed is Addressed.SERVICE:
        why = f"/{decision.group.service}/static/ names the files of that service, whatever routes there are"
        return _answered(case, state.table.services[decision.group.service], decision, (why,), "")
    match = state.table.match(request.segments, request.method, kind=request.kind, host=request.host)
    if match is None:
        return _unknown(case)
    others = chain(rivals(snapshot, request, match.service, match.template), near_misses(snapshot, request))
    reasons = (*_why_route(case, match), *islice(others, MAX_RIVALS))
    if isinstance(decision, Forward):
        return _answered(case, match.group, decision, reasons, match.template)
    return Explanation(
        "unavailable",
        f"nobody: {match.service} takes no requests at the moment (503)",
        match.service,
        match.template,
        reasons=(*reasons, *_why_version(case, match.group)),
        turns=tuple(Turn(one, 0, 0.0, _why_not(one)) for one in match.group.instances),
    )


def _of_token(instance: ServiceInstance) -> Explanation:
    return Explanation(
        "answered",
        f"{_named(instance)}, for its resource",
        instance.service,
        instance=instance,
        reasons=(f"{instance.token} is the token of an instance: what stands behind it is a resource of its own",),
        turns=(Turn(instance, 1, 1.0, "answers"),),
    )


def _unknown(case: _Case) -> Explanation:
    return Explanation(
        "unknown",
        "nobody: no service publishes a route that fits",
        reasons=(
            *islice(near_misses(case.snapshot, case.request), MAX_RIVALS),
            "the app of the node that gets the request answers, if it has one; else it is 404",
            "a route that a node knew within the last hour is 503 there, not 404; and a node that has just started "
            "answers 503 for what it does not know yet",
        ),
    )


def _answered(case: _Case, whole: Group, decision: Forward, reasons: Sequence[str], template: str) -> Explanation:
    group = decision.group
    turns = _turns(whole, group, case.key)
    is_decided = bool(case.key) or sum(turn.users > 0 for turn in turns) == 1
    if is_decided:
        summary = _named(decision.instance)
    else:
        summary = f"{group.service}, which instance depends on the user's key: {_users(turns)}"
        turns = tuple(replace(turn, place=0, why=turn.why if not turn.users else "by key") for turn in turns)
    return Explanation(
        "answered",
        summary,
        group.service,
        template,
        decision.instance if is_decided else None,
        (*reasons, *_why_version(case, whole), *_why_instance(case, decision, turns)),
        turns,
    )


def _why_route(case: _Case, match: Match) -> Iterator[str]:
    where = f"{match.template} of {match.service}"
    if is_toggled(match.template, case.request.segments):
        yield f"no route has exactly this path; {where} has it with another slash at the end, and may redirect"
    else:
        yield f"{where} is the most specific route that fits"
    if not match.method_allowed:
        yield f"no route takes {case.request.method} here: {match.service} itself answers, with 405"


def _why_version(case: _Case, group: Group) -> Iterator[str]:
    settings = case.snapshot.settings.get(group.service, ServiceSettings())
    yield from _why_condition(case, group, settings)
    listed = sorted({instance.version for instance in group.instances})
    if len(listed) == 1:
        return
    if settings.shares:
        how = "central shares give"
    elif settings.policy is not None:
        how = f"the policy {settings.policy.value} gives"
    else:
        how = "the weights of the instances give"
    shares = version_shares(group)
    if shares:
        yield f"{how} {shares_text(shares)} of the users"
    for version in listed:
        if version not in shares:
            yield f"v{version} gets none: {_why_no_share(group, settings, version)}"


def _why_condition(case: _Case, group: Group, settings: ServiceSettings) -> Iterator[str]:
    for condition in settings.conditions:
        if forced_version((condition,), case.headers) is None:
            continue
        text = condition_text(condition)
        if condition in group.conditions:
            yield f"the condition {text} fits: this user gets v{condition.version}, whatever its share"
            return
        yield f"the condition {text} fits, but no instance of v{condition.version} can serve this route now"
    if settings.conditions:
        yield "no condition decides: the shares do"


def _why_no_share(group: Group, settings: ServiceSettings, version: int) -> str:
    own = [instance for instance in group.instances if instance.version == version]
    if not any(instance.active for instance in own):
        return "all its instances are inactive"
    if not any(instance.active and instance.weight > 0 for instance in own):
        return "all its instances are drained"
    shares = central_shares(settings, group.instances) or {}
    return "its share is 0" if version in shares else "the shares do not name it, and one that they name can serve"


def _why_instance(case: _Case, decision: Forward, turns: Sequence[Turn]) -> Iterator[str]:
    answering = [turn for turn in turns if turn.users > 0]
    if len(answering) == 1:
        yield "it is the only instance that gets such requests"
    elif case.key:
        rest = "" if len({turn.instance.version for turn in answering}) == 1 else ", the version first"
        yield f"the key {case.key} falls to it{rest}, on every node that is no instance of that version itself"
    if not decision.instance.active:
        yield "no active instance is left: this one is silent and is asked all the same"


def _turns(whole: Group, group: Group, key: str) -> tuple[Turn, ...]:
    """The instances of a group in the order in which they are tried, and then those that get nothing."""
    places = {instance.token: place for place, instance in enumerate(group.order(key), 1)}
    users = _parts(group, is_steered=group is not whole)
    turns = []
    for instance in sorted(whole.instances, key=lambda one: places.get(one.token, len(places) + 1)):
        place = places.get(instance.token, 0)
        why = ("answers" if place == 1 else "next") if place else _why_not(instance)
        turns.append(Turn(instance, place, users.get(instance.token, 0.0), why))
    return tuple(turns)


def _parts(group: Group, *, is_steered: bool) -> dict[int, float]:
    """Token -> part of the users; of those whom a condition fits all get the first version."""
    shares = {group.versions[0].version: 1.0} if is_steered else version_shares(group)
    parts = {}
    for pool in group.versions:
        weights = sum(member.weight for member in pool.members)
        for member in pool.members:
            parts[member.instance.token] = shares.get(pool.version, 0.0) * member.weight / weights
    return parts


def _users(turns: Sequence[Turn]) -> str:
    by_version: dict[int, float] = {}
    for turn in turns:
        if turn.users:
            by_version[turn.instance.version] = by_version.get(turn.instance.version, 0.0) + turn.users
    return ", ".join(f"v{version} {percent(part)}" for version, part in sorted(by_version.items()))


def _why_not(instance: ServiceInstance) -> str:
    state = state_of(instance)
    return "no share" if state == "active" else state


def _named(instance: ServiceInstance) -> str:
    return f"{instance.service} v{instance.version} at {instance.address}"
