"""Path templates of others, read into our syntax and written from it.

Reading may widen a template (a segment that mixes text and parameter becomes a parameter) but never narrows it: what
the owning app can answer has to reach it. Every result is checked, so a caller gets a usable template or an error.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from hydra_asgi.core.routing.template import MAX_CHARACTERS, MAX_SEGMENTS, Segment, SegmentKind, parse_template
from hydra_asgi.errors import TemplateError

__all__ = ["from_spring", "from_starlette", "from_werkzeug", "prefixed", "to_spring"]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_STARLETTE_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([A-Za-z_][A-Za-z0-9_]*))?\}")
_WERKZEUG_PARAMETER = re.compile(r"<(?:([A-Za-z_]\w*)(?:\(([^<>]*)\))?:)?([^\W\d]\w*)>")

_KINDS = {
    "int": SegmentKind.INT,
    "float": SegmentKind.FLOAT,
    "uuid": SegmentKind.UUID,
    "path": SegmentKind.REST,
}

# Java takes \d as ASCII. Spring refuses capturing groups in a parameter's expression.
_SPRING_EXPRESSIONS = {
    SegmentKind.INT: r":\d+",
    SegmentKind.FLOAT: r":\d+(?:\.\d+)?",
    SegmentKind.UUID: ":[0-9a-fA-F-]+",
    SegmentKind.PARAMETER: "",
}


def from_spring(pattern: str) -> str:
    r"""Read a Spring path pattern (CONTRACT.md 3.1).

    `?` and `*` within a segment make it an untyped parameter, `**` and `{*name}` take the rest of the path,
    `{name:regex}` loses its expression. A missing leading slash is added, as Spring does.

    Raises:
        TemplateError: the braces do not pair up, or the result is not a template of ours.
    """
    absolute = _absolute(pattern if pattern.startswith("/") else f"/{pattern}")
    return _write(pattern, map(_spring_segment, _split_outside(absolute, "{", "}")))


def to_spring(template: str) -> str:
    r"""Write a template of ours as a Spring path pattern that Spring accepts.

    `{id:int}` becomes `{id:\d+}`, `{rest:path}` becomes `{*rest}`. A literal `*` becomes `?`, one character, because
    a pattern cannot quote it. One invalid pattern would stop the route updates of every service (CONTRACT.md 10.2).

    Raises:
        TemplateError: the template is not in our syntax.
    """
    return "".join(f"/{_to_spring_segment(segment)}" for segment in parse_template(template).segments)


def from_starlette(path: str) -> str:
    """Read a path of Starlette or FastAPI; parameters with other convertors become untyped.

    Raises:
        TemplateError: the result is not a template of ours.
    """
    return _write(path, map(_starlette_segment, _absolute(path)[1:].split("/")))


def from_werkzeug(rule: str) -> str:
    """Read a rule of Werkzeug, as Quart has them; parameters with other converters become untyped.

    Raises:
        TemplateError: the angle brackets do not pair up, or the result is not a template of ours.
    """
    return _write(rule, (_werkzeug_segment(rule, piece) for piece in _split_outside(_absolute(rule), "<", ">")))


def prefixed(prefix: str, template: str) -> str:
    """Put a template of ours below a prefix, both by whole segments: `/orders` and `/{id}` give `/orders/{id}`.

    Args:
        prefix: "" or a template of ours; a slash at its end makes no difference.
        template: a template of ours. Parameters that the prefix has too get other names.

    Raises:
        TemplateError: one of them is not a template of ours.
    """
    top = prefix.rstrip("/")
    above = parse_template(top).segments if top else ()
    return _write(f"{prefix}{template}", (*above, *parse_template(template).segments))


def _absolute(path: str) -> str:
    if not path:
        return "/"
    if not path.startswith("/"):
        raise TemplateError(f"path template {path[:80]!r}: it has to start with '/'")
    if len(path) > MAX_CHARACTERS:  # before any work is put into it
        raise TemplateError(
            f"path template {path[:80]!r}: it has {len(path)} characters, at most {MAX_CHARACTERS} are allowed"
        )
    return path


def _split_outside(pattern: str, opening: str, closing: str) -> list[str]:
    """Split at slashes that are not inside brackets, because expressions and arguments may hold some."""
    pieces: list[str] = []
    depth, start = 0, 1
    for index, character in enumerate(pattern[1:], 1):
        if character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
            if depth < 0:
                break
        elif character == "/" and not depth:
            pieces.append(pattern[start:index])
            start = index + 1
    if depth:
        raise TemplateError(f"path template {pattern[:80]!r}: {opening!r} and {closing!r} do not pair up")
    return [*pieces, pattern[start:]]


def _spring_segment(piece: str) -> Segment:
    if piece == "**":
        return Segment(SegmentKind.REST, "")
    if not any(character in piece for character in "?*{}"):
        return Segment(SegmentKind.LITERAL, piece)
    if not _is_one_bracket(piece):
        return Segment(SegmentKind.PARAMETER, "")
    name = piece[1:-1].partition(":")[0]
    if name.startswith("*"):
        return Segment(SegmentKind.REST, name[1:])
    return Segment(SegmentKind.PARAMETER, name)


def _is_one_bracket(piece: str) -> bool:
    """Whether the piece, whose brackets pair up, is one `{...}` from end to end, with an expression's own in it."""
    depths = list(accumulate((character == "{") - (character == "}") for character in piece))
    return depths.index(0) == len(piece) - 1 and piece.startswith("{")


def _to_spring_segment(segment: Segment) -> str:
    if segment.kind is SegmentKind.LITERAL:
        return segment.text.replace("*", "?")
    if segment.kind is SegmentKind.REST:
        return f"{{*{segment.text}}}"
    return f"{{{segment.text}{_SPRING_EXPRESSIONS[segment.kind]}}}"


def _starlette_segment(piece: str) -> Segment:
    found = list(_STARLETTE_PARAMETER.finditer(piece))
    if not found:
        return _text(piece)
    return _mixed(piece, found, lambda match: (_KINDS.get(match[2] or ""), match[1]))


def _werkzeug_segment(rule: str, piece: str) -> Segment:
    found = list(_WERKZEUG_PARAMETER.finditer(piece))
    literal = _WERKZEUG_PARAMETER.sub("", piece)
    if "<" in literal or ">" in literal:
        raise TemplateError(f"path template {rule[:80]!r}: {piece[:80]!r} is not a rule such as '<int:id>'")
    if not found:
        return _text(piece)
    return _mixed(piece, found, _werkzeug_parameter)


def _text(piece: str) -> Segment:
    """A segment without a parameter. Braces are plain text there but cannot be written in our syntax."""
    return Segment(SegmentKind.PARAMETER if "{" in piece or "}" in piece else SegmentKind.LITERAL, piece)


def _werkzeug_parameter(found: re.Match[str]) -> tuple[SegmentKind | None, str]:
    converter, arguments, name = found[1] or "", found[2] or "", found[3]
    if "/" in arguments:  # such as any("a/b"): it spans segments
        return SegmentKind.REST, name
    if "signed" in arguments:  # may start with '-', which our int and float do not
        return None, name
    return _KINDS.get(converter), name


def _mixed(
    piece: str, found: list[re.Match[str]], read: Callable[[re.Match[str]], tuple[SegmentKind | None, str]]
) -> Segment:
    """A segment with at least one parameter. Text beside it, or a second one, makes it untyped."""
    parameters = [read(match) for match in found]
    rest = next((name for kind, name in parameters if kind is SegmentKind.REST), None)
    if rest is not None:
        return Segment(SegmentKind.REST, rest)
    kind, name = parameters[0]
    if found[0][0] != piece:
        return Segment(SegmentKind.PARAMETER, "")
    return Segment(kind or SegmentKind.PARAMETER, name)


def _write(source: str, segments: Iterable[Segment]) -> str:
    """Write segments in our syntax, up to the first that takes the rest; names that cannot be ours get new ones."""
    listed = list(segments)
    if len(listed) > MAX_SEGMENTS:
        raise TemplateError(
            f"path template {source[:80]!r}: it has {len(listed)} segments, at most {MAX_SEGMENTS} are allowed"
        )
    text = "".join(f"/{piece}" for piece in _spelled(listed))
    try:
        return parse_template(text).text
    except TemplateError as error:
        raise TemplateError(f"{source[:80]!r} cannot be published: {error}") from error


def _spelled(segments: list[Segment]) -> Iterator[str]:
    wanted = {segment.text for segment in segments if segment.kind}
    used: set[str] = set()
    for segment in segments:
        if segment.kind is SegmentKind.LITERAL:
            yield segment.text
            continue
        name = segment.text
        if name in used or _IDENTIFIER.fullmatch(name) is None:
            name = _free_name("path" if segment.kind is SegmentKind.REST else "", wanted | used)
        used.add(name)
        yield _spell(segment.kind, name)
        if segment.kind is SegmentKind.REST:
            return


def _free_name(wish: str, taken: set[str]) -> str:
    if wish and wish not in taken:
        return wish
    number = 1
    while f"p{number}" in taken:
        number += 1
    return f"p{number}"


def _spell(kind: SegmentKind, name: str) -> str:
    type_name = next((text for text, value in _KINDS.items() if value is kind), "")
    return f"{{{name}:{type_name}}}" if type_name else f"{{{name}}}"
