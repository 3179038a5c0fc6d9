"""Hypothesis strategies for what is kept in a shared store: any instance, any settings, any snapshot."""

from dataclasses import replace

from hypothesis import strategies as st

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.instance import (
    Address,
    Dialect,
    FragmentDeclaration,
    MenuItem,
    Revision,
    Route,
    RouteKind,
    ServiceInstance,
    Snapshot,
)
from hydra_asgi.core.routing.token import MAX_TOKEN, MIN_TOKEN
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy

__all__ = ["instances", "settings", "snapshots"]

NAMES = st.from_regex(r"[A-Zb-gi-z][A-Za-z0-9._~-]{3,12}", fullmatch=True)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
WEIGHTS = st.floats(0, 1_000_000) | st.integers(0, 1_000_000)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs"]), max_size=12)
SEGMENTS = st.sampled_from(["items", "straße", "{id}", "{n:int}", "{u:uuid}", "a b", "%2F", "日本", '"quoted"'])

bindings = st.builds(Binding, st.sampled_from(["dob", "_x.y-z"]), st.sampled_from(["dob", "birth", "c"]))
binding_lists = st.lists(bindings, max_size=3, unique_by=lambda binding: binding.alias).map(tuple)
templates = st.lists(SEGMENTS, min_size=1, max_size=4, unique=True).map(lambda parts: "/" + "/".join(parts))
methods = st.none() | st.frozensets(st.sampled_from(["GET", "POST", "M-SEARCH"]))
hosts = st.none() | st.sampled_from(["{tenant}.example.org", "Example.ORG", "[::1]", "a.b:8000"])
addresses = st.builds(
    Address,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["10.0.0.1", "fd00::1", "orders.internal", "UPPER", "fe80::1%eth0"]),
    st.integers(1, 65535),
    st.sampled_from(["", "/base", "/b/a~s-e", "/%20"]),
    pinned=st.sampled_from(["", "10.0.0.1", "fd00::1"]),
)
fragments = st.builds(
    FragmentDeclaration,
    st.from_regex(r"[A-Za-z0-9._~:/-]{1,10}", fullmatch=True),
    binding_lists,
    binding_lists,
    st.sampled_from(["", "/frag/checkout?x=1"]),
)
menu_items = st.builds(MenuItem, WORDS, st.sampled_from(["/", "/orders", "/é"]), WORDS)


def _lists(values: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, max_size=most).map(tuple)


instances: st.SearchStrategy[ServiceInstance] = st.builds(
    ServiceInstance,
    NAMES,
    addresses,
    INTEGERS,
    WEIGHTS,
    _lists(st.builds(Route, templates, methods, st.sampled_from(RouteKind), hosts), 4),
    st.frozensets(st.sampled_from(["a.css", "b/ü.js", 'x"y.png'])),
    st.none() | _lists(fragments),
    _lists(menu_items, 4),
    INTEGERS,
    st.sampled_from(Dialect),
    st.booleans(),
)

conditions = st.builds(
    Condition, st.sampled_from(ConditionSource), st.sampled_from(["x-tester", "beta"]), WORDS, INTEGERS
)
settings: st.SearchStrategy[ServiceSettings] = st.builds(
    ServiceSettings,
    st.dictionaries(INTEGERS, WEIGHTS, max_size=4),
    st.none() | st.sampled_from(SharePolicy),
    _lists(conditions),
    _lists(st.sampled_from(["/", "/orders", "/straße/x"])),
)

listed = st.builds(
    lambda instance, token, order, active: replace(instance, token=token, order=order, active=active),
    instances,
    st.integers(MIN_TOKEN, MAX_TOKEN),
    st.integers(0, 2**63 - 1),
    st.booleans(),
)
snapshots: st.SearchStrategy[Snapshot] = st.builds(
    Snapshot,
    st.builds(Revision, st.from_regex(r"[A-Za-z0-9_-]{1,16}", fullmatch=True), st.integers(0, 2**63 - 1)),
    _lists(listed),
    st.dictionaries(NAMES, settings, max_size=3),
)
