"""In which line of a TOML file a key stands, so that a mistake can be shown: the standard library forgets it."""

import re
from collections.abc import Mapping

__all__ = ["KeyPath", "key_lines", "line_of"]

KeyPath = tuple[str | int, ...]
"""Names of tables and keys, and numbers of the elements of `[[tables]]` from 0 on."""

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"[A-Za-z0-9_-]+|\"([^\"]*)\"|'([^']*)'")


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """The line, from 1 on, of every table and key that begins a line.

    The text is searched, not parsed: keys of inline tables are not found, and a line inside a text of several lines may
    be taken for a key. Where a key stands twice, the first one counts.
    """
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _table(header[2], counts, is_element=header[1] == "[[")
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            parts = _parts(key[1])
            for length in range(1, len(parts) + 1):
                lines.setdefault((*table, *parts[:length]), number)
    return lines


def line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """The line of a key, else of the innermost table around it whose line is known, else 1."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


def _table(name: str, counts: dict[KeyPath, int], *, is_element: bool) -> KeyPath:
    """The path of the table that a header opens; each name in it that is a list means that list's last element."""
    path: KeyPath = ()
    parts = _parts(name)
    for place, part in enumerate(parts):
        path = (*path, part)
        if is_element and place == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(found[1] or found[2] or found[0] for found in _PART.finditer(dotted))
