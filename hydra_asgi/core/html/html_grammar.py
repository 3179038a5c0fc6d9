"""Everything the tokenizer derives from the name it looks for, made once per name."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

from hydra_asgi.core.html.foreign_content import FOREIGN_NAMES
from hydra_asgi.core.html.html_fast_path import FastPath
from hydra_asgi.core.html.html_syntax import ordinary_markup
from hydra_asgi.core.html.html_text import SWITCHING

__all__ = ["FOREIGN_PREFIXES", "Grammar", "grammar_for"]


def _prefixes(names: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(name[:size] for name in names for size in range(1, len(name) + 1))


FOREIGN_PREFIXES: Final = _prefixes(FOREIGN_NAMES)
"""What an unfinished name may be that matters inside SVG and MathML only."""


class Grammar(NamedTuple):
    """Patterns for one wanted name.

    Attributes:
        fast: skips tame content.
        plain: skips text and whole tags that change nothing, in HTML.
        plain_foreign: the same where SVG or MathML is open.
        prefixes: what an unfinished name may be that matters.
    """

    fast: FastPath
    plain: re.Pattern[bytes]
    plain_foreign: re.Pattern[bytes]
    prefixes: frozenset[bytes]


@cache
def grammar_for(wanted: bytes) -> Grammar:
    """The grammar for a lower-case name."""
    switching = SWITCHING | {b"svg", b"math"}
    special = {wanted, *switching}
    return Grammar(
        FastPath.stopping_at(wanted, switching),
        ordinary_markup(special),
        ordinary_markup(special | FOREIGN_NAMES),
        _prefixes(special),
    )
