"""Import and export lists: `countryOrigin as country` (CONTRACT.md 2.7).

On an import the left name is the core page's, the right one the fragment's; on an export the left name is the
fragment's, the right one the core page's.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hydra_asgi.errors import BindingError

__all__ = ["MAX_BINDINGS", "Binding", "parse_bindings"]

MAX_BINDINGS = 64
"""More names than any page needs; keeps a hostile tag from growing a request without bound."""

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,127}"
_BINDING = re.compile(rf"({_NAME})(?:\s+as\s+({_NAME}))?")


@dataclass(frozen=True, slots=True)
class Binding:
    """One name that crosses the border, and what it is called on the other side."""

    name: str
    alias: str

    def __str__(self) -> str:
        return self.name if self.alias == self.name else f"{self.name} as {self.alias}"


def parse_bindings(text: str | Iterable[str]) -> tuple[Binding, ...]:
    """Read `"dob, countryOrigin as country"`, or the same as a list of strings.

    Raises:
        BindingError: an item is not `name` or `name as alias`, an alias appears twice, or there are too many.
    """
    items = text.split(",") if isinstance(text, str) else list(text)
    bindings: list[Binding] = []
    for item in items:
        stripped = item.strip()
        if not stripped:
            continue
        found = _BINDING.fullmatch(stripped)
        if found is None:
            raise BindingError(f"{stripped[:80]!r} is not a name or 'name as alias'")
        bindings.append(Binding(found[1], found[2] or found[1]))
    if len(bindings) > MAX_BINDINGS:
        raise BindingError(f"{len(bindings)} names in one list, at most {MAX_BINDINGS} are allowed")
    aliases = [binding.alias for binding in bindings]
    for alias in aliases:
        if aliases.count(alias) > 1:
            raise BindingError(f"the name {alias!r} is bound twice in one list")
    return tuple(bindings)
