"""Says when two routes answer the same request, so that start-up can name both."""

import re
from collections.abc import Iterable, Iterator

from hydra_asgi.core.instance import Route

__all__ = ["overlapping", "overlaps", "shape"]

_PARAMETER = re.compile(r"\{[^{}:]*(:[^{}]*)?\}")


def shape(template: str) -> str:
    """A template without the names of its parameters: `/a/{id:int}` and `/a/{n:int}` match the same paths."""
    return _PARAMETER.sub(r"{\1}", template)


def overlaps(one: Route, other: Route) -> bool:
    """Whether both have the same shape, kind and host, and a method in common."""
    if (shape(one.template), one.kind, one.host) != (shape(other.template), other.kind, other.host):
        return False
    return one.methods is None or other.methods is None or bool(one.methods & other.methods)


def overlapping(routes: Iterable[Route]) -> Iterator[tuple[int, int]]:
    """The places of every two routes that overlap, the earlier first."""
    known: dict[tuple[str, str, str | None], list[tuple[int, Route]]] = {}
    for place, route in enumerate(routes):
        alike = known.setdefault((shape(route.template), route.kind, route.host), [])
        yield from ((earlier, place) for earlier, other in alike if overlaps(other, route))
        alike.append((place, route))
