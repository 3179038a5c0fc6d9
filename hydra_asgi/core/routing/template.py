"""Our own syntax for the path of a route: `/items/{id}`, `/items/{id:int}`, `/files/{rest:path}`.

A template is a list of whole segments. A parameter fills its segment: no text beside it, no regular expression, so
that a match looks at every segment once and two templates can be compared segment by segment. `{x:path}` comes last
and takes one or more segments, empty ones too: `/files/{x:path}` matches `/files/` and not `/files`. Literal segments
are written decoded, as in `/straße`.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from hydra_asgi.errors import TemplateError

__all__ = ["MAX_CHARACTERS", "MAX_PARAMETERS", "MAX_SEGMENTS", "Segment", "SegmentKind", "Template", "parse_template"]

MAX_CHARACTERS = 2048
"""Longer than any URL that is meant to be typed; keeps a registration small."""

MAX_SEGMENTS = 64
"""Bounds the depth of the route tree."""

MAX_PARAMETERS = 16
"""More than a readable route has; bounds how often a match may branch."""

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})(?::([^{}]*))?\}")
# Controls (C0, DEL, C1), lone surrogates (they have no UTF-8 form), and what never reaches a route as path text.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff?#\\]")


class SegmentKind(IntEnum):
    """How a segment matches; a lower number is more specific and is tried first."""

    LITERAL = 0
    INT = 1
    FLOAT = 2
    UUID = 3
    PARAMETER = 4
    REST = 5


_LITERAL = SegmentKind.LITERAL  # up to Python 3.11 the lookup of an enum's member costs as much as the rest of a step

_TYPES = {
    "int": SegmentKind.INT,
    "float": SegmentKind.FLOAT,
    "uuid": SegmentKind.UUID,
    "path": SegmentKind.REST,
}


class Segment(NamedTuple):
    """One segment: the literal text, or the name of a parameter.

    A tuple, because a directory has them by the ten thousand and is rebuilt whenever it changes.
    """

    kind: SegmentKind
    text: str


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template.

    Attributes:
        segments: in order. `/a/` ends in an empty literal, `/` is one empty literal.
        text: the canonical form; equal texts are equal templates.
    """

    segments: tuple[Segment, ...]
    text: str

    def __str__(self) -> str:
        return self.text


def parse_template(text: str) -> Template:
    """Read a template.

    Raises:
        TemplateError: names the template, the segment and the way out.
    """
    _check_text(text)
    pieces = text[1:].split("/")
    if len(pieces) > MAX_SEGMENTS:
        raise _problem(text, f"it has {len(pieces)} segments, at most {MAX_SEGMENTS} are allowed")
    last = len(pieces) - 1
    segments: list[Segment] = []
    names: list[str] = []
    for index, piece in enumerate(pieces):
        if "{" in piece or "}" in piece:
            parameter = _parse_parameter(text, piece, index == last)
            segments.append(parameter)
            names.append(parameter.text)
        else:
            if not piece or piece[0] == ".":
                _check_literal(text, piece, index == last)
            segments.append(Segment(_LITERAL, piece))
    if len(names) > 1:
        _check_names(text, names)
    return Template(tuple(segments), text)


def _check_text(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise _problem(text, f"it has {len(text)} characters, at most {MAX_CHARACTERS} are allowed")
    if not text.startswith("/"):
        raise _problem(text, "it has to start with '/'")
    found = _FORBIDDEN.search(text)
    if found is not None:
        raise _problem(text, f"{found[0]!r} may not stand in it: write literal segments as plain decoded text")


def _check_names(text: str, names: list[str]) -> None:
    if len(names) > MAX_PARAMETERS:
        raise _problem(text, f"it has {len(names)} parameters, at most {MAX_PARAMETERS} are allowed")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _problem(text, f"the parameter {twice!r} appears twice, give each its own name")


def _parse_parameter(text: str, piece: str, is_last: bool) -> Segment:
    found = _PARAMETER.fullmatch(piece)
    if found is None:
        raise _problem(
            text, f"segment {piece[:80]!r} mixes text and parameters: a parameter is a whole segment such as '{{name}}'"
        )
    name, type_name = found.groups()
    if type_name is None:
        return Segment(SegmentKind.PARAMETER, name)
    kind = _TYPES.get(type_name)
    if kind is None:
        raise _problem(
            text, f"segment {piece[:80]!r} has an unknown type: use int, float, uuid, path or none, no expression"
        )
    if kind is SegmentKind.REST and not is_last:
        raise _problem(text, f"segment {piece[:80]!r} takes the rest of the path, so it has to be the last one")
    return Segment(kind, name)


def _check_literal(text: str, piece: str, is_last: bool) -> None:
    if not piece and not is_last:
        raise _problem(text, "it has an empty segment ('//'): only the last one may be empty")
    # A client's dot segment is refused before matching, with path parameters too, so such a route is never reached.
    if piece.partition(";")[0] in (".", ".."):
        raise _problem(text, f"segment {piece[:80]!r} is a dot segment: write the path it leads to")


def _problem(text: str, reason: str) -> TemplateError:
    return TemplateError(f"path template {text[:80]!r}: {reason}")
