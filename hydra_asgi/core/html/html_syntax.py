r"""The grammar of HTML tags as regular expressions over bytes, each part equal to the HTML Standard's tokenizer.

White space is tab, LF, FF, CR and blank (CR becomes LF before a tokenizer sees it). `\s` of `re` also knows a
vertical tab, so it is not used.
"""

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from hydra_asgi.core.patterns import many

__all__ = ["ATTRIBUTES", "any_of", "ordinary_markup", "plain_element", "start_of"]

ATTRIBUTES: Final = many(
    # Attributes that are complete for certain (13.2.5.32 to 13.2.5.39). A name without a value is complete when
    # something other than `=` follows it, a bare value when white space or `>` does.
    r"[ \t\n\f\r/]*+[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+(?:"
    r"[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:\"[^\"]*+\"|'[^']*+'|[^ \t\n\f\r>\"'][^ \t\n\f\r>]*+(?=[ \t\n\f\r>])|(?=>))"
    r"|(?=[ \t\n\f\r]*+[^ \t\n\f\r=])"
    r")"
)


def any_of(names: Iterable[bytes]) -> str:
    """A group that matches any of the lower-case names in any case, spelled so that `re` fails fast on others.

    Written out as `[aA]` because IGNORECASE makes `re` give up its fast paths.
    """
    groups = groupby(sorted({name.decode() for name in names}), lambda name: name[0])
    return f"(?:{'|'.join(f'{_any_case(first)}(?:{_tails(group)})' for first, group in groups)})"


def ordinary_markup(special: Iterable[bytes]) -> re.Pattern[bytes]:
    """Text and whole tags, as many as there are, of elements other than `special`; no comments, no declarations."""
    tag = rf"</?+(?!{any_of(special)}[ \t\n\f\r/>])[A-Za-z][^ \t\n\f\r/>]*+{ATTRIBUTES}[ \t\n\f\r/]*+>"
    return re.compile(many(f"[^<]++|{tag}").encode())


def plain_element(name: bytes) -> re.Pattern[bytes]:
    """A whole element, from behind its name on, with text only inside: groups are attributes and body."""
    blank = r"[ \t\n\f\r]*+"
    return re.compile(rf"({ATTRIBUTES}{blank})>([^<]*+)</{any_of([name])}{blank}>".encode())


def start_of(name: bytes) -> re.Pattern[bytes]:
    """The beginning of an element's start tag, with the byte that ends its name."""
    return re.compile(f"<{any_of([name])}[ \\t\\n\\f\\r/>]".encode())


def _tails(names: Iterable[str]) -> str:
    return "|".join(_any_case(name[1:]) for name in sorted(names, key=len, reverse=True))


def _any_case(name: str) -> str:
    return "".join(f"[{char}{char.upper()}]" if char.isalpha() else re.escape(char) for char in name)
