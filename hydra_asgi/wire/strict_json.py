"""JSON from strangers: one reader that ends quickly and never leaves a value behind that cannot be written again."""

import json
import math
import re
from collections.abc import Iterable

__all__ = ["NotJsonError", "dump_json", "is_deeper", "read_json"]

# Lone surrogates come from escapes only: as bytes they are not UTF-8.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotJsonError(ValueError):
    """The bytes are not JSON as RFC 8259 has it, or hold what no peer of ours may send. The message says which."""


def read_json(body: bytes) -> object:
    """Parse a whole body.

    The caller has capped its length. Refused beside syntax errors: other encodings than UTF-8, numbers that are not
    finite (RFC 8259 section 6), names twice in one object (section 4), lone surrogates (section 8.2), and nesting or
    numbers beyond what the interpreter takes.

    Raises:
        NotJsonError: one of these.
    """
    try:
        value: object = json.loads(
            body.decode(), object_pairs_hook=_pairs, parse_constant=_refuse_constant, parse_float=_finite
        )
        if _SURROGATE.search(body):
            dump_json(value)
    except RecursionError:
        raise NotJsonError("the JSON is nested too deeply") from None
    except UnicodeError:
        raise NotJsonError("the text is not UTF-8") from None
    except NotJsonError:
        raise
    except ValueError as error:
        raise NotJsonError(str(error)[:200]) from None
    return value


def dump_json(value: object) -> bytes:
    """Write a value as compact UTF-8.

    Raises:
        ValueError: it holds something JSON has no form for.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return text.encode()


def is_deeper(value: object, limit: int) -> bool:
    """Whether lists and objects are nested more than `limit` deep; a plain value has depth 0."""
    level: Iterable[object] = [value]
    for _ in range(limit):
        level = [child for parent in level for child in _children(parent)]
    return any(isinstance(parent, (dict, list)) for parent in level)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotJsonError("a name appears twice in one object")
    return value


def _refuse_constant(name: str) -> object:
    raise NotJsonError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotJsonError(f"{digits[:40]!r} is too large a number")
    return number
