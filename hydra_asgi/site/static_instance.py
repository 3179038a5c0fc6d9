"""An instance that nobody registers: the operator says where it is and what it serves."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

from hydra_asgi.core.instance import Dialect, FragmentDeclaration, Route, ServiceInstance
from hydra_asgi.discovery.publication import declared_route, is_reserved
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options import read_option, read_text, read_url

__all__ = ["Mistake", "StaticInstance", "mistakes_in", "nearest"]

_PATH = re.compile(r"/[\x21\x22\x24-\x7e]*")
_REF = re.compile(r"[A-Za-z0-9._~:/-]{1,128}")

Mistake = tuple[str, str]
"""A key, and what is wrong with it and what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticInstance:
    """Anything that speaks HTTP, as a part of the site.

    Args:
        service: its name on the site.
        url: where it is, with an optional base path that is put in front of every path.
        routes: what it serves: `"/legacy/{rest:path}"`, `"GET /x"`, `"WEBSOCKET /ws"`.
        version: users are split between versions of a service by weight.
        weight: its share, 0 to 1,000,000; 0 takes no requests.
        health: a path that answers with a status below 400 while all is well. It is asked every 3 s, and an instance
            that does not answer well is taken for silent. Empty: the instance is simply there.
        compose: the gateway fills the fragment tags of its pages.
        fragments: ref -> the path that answers a plain GET with the fragment's HTML.

    Raises:
        ConfigurationError: names everything that is wrong.
    """

    service: str
    url: str
    routes: Sequence[str] = ()
    version: int = 0
    weight: float = 10.0
    health: str = ""
    compose: bool = False
    fragments: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        if mistakes := [*mistakes_in(values)]:
            told = "; ".join(f"{key}: {text}" for key, text in mistakes)
            raise ConfigurationError(f"StaticInstance of {str(self.service)[:80]!r}: {told}")

    @property
    def instance(self) -> ServiceInstance:
        """What the directory lists."""
        return ServiceInstance(
            service=self.service,
            address=read_url(self.url, "url"),
            version=int(self.version),
            weight=float(self.weight),
            routes=_routes(self.routes),
            fragments=tuple(FragmentDeclaration(ref, path=path) for ref, path in self.fragments.items()),
            dialect=Dialect.PLAIN,
            compose=self.compose,
        )


def mistakes_in(values: Mapping[str, object]) -> Iterator[Mistake]:
    """Everything that keeps values from being those of a `StaticInstance`, key by key."""
    for key in ("service", "url"):
        if key not in values:
            yield key, f"it is missing: write {key} = {_EXAMPLES[key]!r}"
    for key, value in values.items():
        check = _CHECKS.get(key)
        if check is None:
            yield key, f"there is no such key{nearest(key, _CHECKS)}"
            continue
        try:
            check(value)
        except ConfigurationError as error:
            yield key, str(error).removeprefix("routes= ").strip()


def nearest(word: str, words: Mapping[str, object]) -> str:
    """What may have been meant: `, is 'routes' meant?`, or all there is."""
    close = difflib.get_close_matches(word, words, 1)
    return f", is {close[0]!r} meant?" if close else f"; there are {', '.join(sorted(words))}"


def _check_routes(value: object) -> None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigurationError(f"is {str(value)[:120]!r}: expected a list such as ['/old/{{rest:path}}', 'GET /x']")
    for route in _routes(value):
        if is_reserved(route.template):
            raise ConfigurationError(
                f"has {route.template[:120]!r}: /h/ belongs to the control plane, take another path"
            )


def _routes(value: Sequence[object]) -> tuple[Route, ...]:
    return tuple(declared_route(str(entry)) for entry in value)


def _check_health(value: object) -> None:
    if value != "" and not (isinstance(value, str) and _PATH.fullmatch(value)):
        raise ConfigurationError(f"is {str(value)[:120]!r}: expected a path such as '/ping'")


def _check_flag(value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"is {str(value)[:120]!r}: expected true or false")


def _check_fragments(value: object) -> None:
    expected = "expected refs with their paths, such as { checkout = '/frag/checkout' }"
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"is {str(value)[:120]!r}: {expected}")
    for ref, path in value.items():
        if not (isinstance(ref, str) and _REF.fullmatch(ref)):
            raise ConfigurationError(f"has the ref {str(ref)[:120]!r}: use 1 to 128 letters, digits and . _ ~ : / -")
        if not (isinstance(path, str) and _PATH.fullmatch(path)):
            raise ConfigurationError(f"has {str(path)[:120]!r} for {ref!r}: {expected}")


_EXAMPLES = {"service": "legacy", "url": "http://10.0.0.9:8080"}

_CHECKS = {
    "service": lambda value: read_option("service", value, ""),
    "url": lambda value: read_url(read_text(value, ""), ""),
    "routes": _check_routes,
    "version": lambda value: read_option("version", value, ""),
    "weight": lambda value: read_option("weight", value, ""),
    "health": _check_health,
    "compose": _check_flag,
    "fragments": _check_fragments,
}
