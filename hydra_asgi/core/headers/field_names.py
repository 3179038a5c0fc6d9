"""What follows from the names of a message's header fields alone, remembered for the lists of names that come again.

Clients and services send the same few lists of names all day, so whatever depends on nothing but names is worked out
once for each list: forwarding a request then costs a look into a table in the place of many passes over its fields.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hydra_asgi.core.headers.header_fields import Fields

__all__ = ["MAX_JOINED_BYTES", "REMEMBERED", "FieldNames", "field_names", "read_names"]

REMEMBERED: Final = 512
"""Lists of names that are remembered; browsers and their versions send a few dozen. The oldest is forgotten first."""

MAX_JOINED_BYTES: Final = 2048
"""Longer lists are not remembered, so that hostile clients cannot make us keep more than a megabyte."""

_TOKENS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++\n)*+")


@dataclass(frozen=True, slots=True, eq=False)  # by identity, so that it can be looked up fast
class FieldNames:
    """The names of one message's fields.

    Attributes:
        lower: the names in lower case, in order.
        is_lower: they were so already.
        size: bytes of all names together.
        are_tokens: each is a token (RFC 9110 section 5.1).
        places: name -> where it stands in `lower`.
        has_framing: one of them says where the message ends.
    """

    lower: tuple[bytes, ...]
    is_lower: bool
    size: int
    are_tokens: bool
    places: Mapping[bytes, tuple[int, ...]]
    has_framing: bool

    def values(self, headers: Fields, name: bytes) -> list[bytes]:
        """Every value of a field, in order; `headers` are those that these names are of."""
        places = self.places.get(name)
        return [headers[place][1] for place in places] if places else []


def field_names(headers: Fields) -> FieldNames:
    """The names of these fields."""
    names = [name for name, _ in headers]
    joined = b"\n".join(names)
    if len(joined) <= MAX_JOINED_BYTES:
        known = _remembered(joined)
        if len(known.lower) == len(names):  # else there is no name at all, or one that holds a line break
            return known
    return read_names(names)


@lru_cache(REMEMBERED)
def _remembered(joined: bytes) -> FieldNames:
    return read_names(joined.split(b"\n"))


def read_names(names: list[bytes]) -> FieldNames:
    """The same, worked out anew."""
    lower = [name.lower() for name in names]
    places: dict[bytes, list[int]] = {}
    for place, name in enumerate(lower):
        places.setdefault(name, []).append(place)
    are_tokens = _TOKENS.fullmatch(b"".join([name + b"\n" for name in names])) is not None
    has_breaks = any(b"\n" in name for name in names)
    return FieldNames(
        tuple(lower),
        lower == names,
        sum(map(len, names)),
        are_tokens and not has_breaks,
        {name: tuple(found) for name, found in places.items()},
        b"content-length" in places or b"transfer-encoding" in places,
    )
