"""Pieces of regular expressions that give nothing back once they have matched, spelled so that every Python is right.

`(?:...)*+` would say the same. Before Python 3.11.5 it was matched wrongly where the group inside can itself go back: a
pattern then reached further than it may, and took for markup what is none. An atomic group never had that fault, and
neither has a possessive quantifier behind a single character class, such as `[a-z]*+`.
"""

__all__ = ["at_most_one", "many"]


def many(pattern: str) -> str:
    """As often as it matches, also never."""
    return f"(?>(?:{pattern})*)"


def at_most_one(pattern: str) -> str:
    """Once, or not at all."""
    return f"(?>(?:{pattern})?)"
