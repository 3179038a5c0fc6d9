"""Log lines of `key=value` pairs: whatever a client or a peer put into a value, one event stays one line."""

import re
from typing import Final

__all__ = ["logfmt"]

MAX_VALUE: Final = 300
"""Characters of one value; enough to recognise anything, too little to fill a disk."""

_BARE = re.compile(r"[A-Za-z0-9._:/@+~,;*!?&()\[\]-]+")
_SIMPLE = re.compile(r"[ !#$&-\[\]-~]+")
"""What is printed as it is, between quotes."""

_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "%": "\\x25", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# A percent sign means something to whoever formats a line a second time.


def logfmt(**pairs: str | int | float | None) -> str:
    """One line of pairs in the order given; those whose value is None or empty are left out.

    Numbers with a fraction are seconds and get three digits. Text with anything but plain characters is put into
    quotes: quotes and backslashes in it are escaped, and so is every character that a terminal or a line could take for
    more than a character (controls, line ends, direction marks), as `\\xNN` or `\\uNNNN`.
    """
    return " ".join(f"{key}={_written(value)}" for key, value in pairs.items() if value not in (None, ""))


def _written(value: str | int | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    if text.isalnum() and text.isascii() and len(text) <= MAX_VALUE:  # most are; cheaper than the pattern
        return text
    if len(text) <= MAX_VALUE and _BARE.fullmatch(text):
        return text
    if len(text) <= MAX_VALUE and _SIMPLE.fullmatch(text):
        return f'"{text}"'
    shown = "".join(_character(character) for character in text[:MAX_VALUE])
    return f'"{shown}…"' if len(text) > MAX_VALUE else f'"{shown}"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
