"""Path prefixes under which a service may have routes. Whole segments count: `/orders` does not cover `/ordersx`."""

from collections.abc import Iterable, Sequence

from hydra_asgi.core.routing.template import Segment, SegmentKind, parse_template
from hydra_asgi.errors import TemplateError

__all__ = ["PathPrefixes", "check_prefix"]


class PathPrefixes:
    """The prefixes of one service; none at all cover everything.

    Args:
        prefixes: as templates. One that cannot be read covers nothing: what was meant to be limited stays so.
    """

    __slots__ = ("_is_open", "_known")

    def __init__(self, prefixes: Iterable[str]) -> None:
        listed = tuple(prefixes)
        self._is_open = not listed
        self._known = [known for prefix in listed if (known := _maybe_parse(prefix)) is not None]

    def cover(self, template: str) -> bool:
        """Whether a route lies under one of them. A template that cannot be read lies nowhere."""
        if self._is_open:
            return True
        segments = _maybe_parse(template)
        return segments is not None and any(_leads_to(known, segments) for known in self._known)


def check_prefix(prefix: str) -> None:
    """Raise `TemplateError` when this is no prefix: it is a template whose last segment does not take the rest."""
    segments = parse_template(prefix).segments
    if segments[-1].kind is SegmentKind.REST:
        raise TemplateError(f"path prefix {prefix[:80]!r}: it covers what is below it anyway, leave the last part out")


def _maybe_parse(text: str) -> Sequence[Segment] | None:
    try:
        segments = parse_template(text).segments
    except TemplateError:
        return None
    # `/orders/` and `/orders` cover the same, and `/` is what everything is below.
    return segments[:-1] if segments[-1] == (SegmentKind.LITERAL, "") else segments


def _leads_to(prefix: Sequence[Segment], segments: Sequence[Segment]) -> bool:
    return len(prefix) <= len(segments) and all(map(_admits, prefix, segments))


def _admits(prefix: Segment, segment: Segment) -> bool:
    """Whether everything the one segment matches, the prefix's matches too; names are of no account."""
    if prefix.kind is SegmentKind.LITERAL or segment.kind is SegmentKind.REST:
        return prefix == segment
    return prefix.kind in (segment.kind, SegmentKind.PARAMETER)
