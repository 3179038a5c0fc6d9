"""What the documents in a shared store have in common: how they are written, read and told from rubbish.

A document is one JSON object in its canonical form (names sorted, no spaces, defaults left out where they are many), so
that equal content is equal bytes. Anybody may have written what is read: one error says which entry and why, and
whoever reads the store leaves that entry out and serves the rest.

Rules for editors, because nodes of several versions share one store:

- A field that older nodes may pass over is added, optional, with the meaning of its absence; `SCHEMA` goes up by one.
- What older nodes would take for something else (a new kind of route, a new dialect) raises `READS` to the new number
  too: they leave such a document out and say so, instead of misunderstanding it.
- What was written once is read for ever.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic_core import from_json

from hydra_asgi.errors import HydraError

__all__ = [
    "MAX_DOCUMENT",
    "PLAIN",
    "READS",
    "SCHEMA",
    "Fields",
    "StoredDocumentError",
    "dump_document",
    "read_document",
]

SCHEMA = 1
"""The form that this version writes."""

READS = 1
"""The oldest schema whose readers understand what this version writes."""

MAX_DOCUMENT = 2_097_152
"""A registration of a megabyte (the most a gateway takes) is less than twice as long in this form."""

MAX_COLONS = 100_000
"""One per name. A megabyte of tiny objects would take a tenth of a second to read."""

PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]*")
"""Text without control characters and without what turns the direction of writing."""

T = TypeVar("T")


class StoredDocumentError(HydraError, ValueError):
    """A document of the store cannot be used, or a value cannot be made into one.

    Args:
        entry: which one.
        reason: the field, and what is wrong with it.
    """

    def __init__(self, entry: str, reason: str) -> None:
        super().__init__(f"the store's entry {entry[:200]!r}: {reason}")
        self.entry = entry
        self.reason = reason


class _Misfit(Exception):  # noqa: N818  # never leaves this module
    """A field has a value that it cannot have."""


def dump_document(value: Mapping[str, object], entry: str) -> bytes:
    """Write a document in its canonical form, with the numbers of its schema.

    Raises:
        StoredDocumentError: JSON has no form for it, or it is too long to be read again.
    """
    document = {"schema": SCHEMA, **value}
    if READS != SCHEMA:
        document["reads"] = READS
    try:
        body = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StoredDocumentError(entry, f"it has no form in JSON: {str(error)[:200]}") from None
    _check_size(body, entry)
    return body


def read_document(body: bytes, entry: str, read: "Callable[[Fields], T]") -> T:
    """Read a document that anybody may have written.

    Args:
        body: its bytes.
        entry: its name in the store, for the message.
        read: makes the value out of the fields. May raise errors of ours, which are then the reason.

    Raises:
        StoredDocumentError: the one error of every document that cannot be used.
    """
    _check_size(body, entry)
    try:
        # A third of the time that `strict_json` takes. What only that one refuses does no harm here: of a name that
        # stands twice the last value counts for everybody, and numbers without end fit no field.
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise StoredDocumentError(entry, f"it is not JSON: {str(error)[:200]}") from None
    try:
        fields = Fields(value)
        _check_schema(fields)
        return read(fields)
    except (_Misfit, HydraError) as error:
        raise StoredDocumentError(entry, str(error)[:300]) from None


def _check_size(body: bytes, entry: str) -> None:
    if len(body) > MAX_DOCUMENT:
        raise StoredDocumentError(entry, f"it has {len(body)} bytes, at most {MAX_DOCUMENT} are read")
    if body.count(b":") > MAX_COLONS:
        raise StoredDocumentError(entry, f"it has more than {MAX_COLONS} names")


def _check_schema(fields: "Fields") -> None:
    schema = fields.integer("schema", 1, 1_000_000)
    reads = fields.integer("reads", 1, schema, schema)
    if reads > SCHEMA:
        raise _Misfit(
            f"it has schema {schema}, which takes a node that knows schema {reads}; this one knows {SCHEMA}: "
            "update hydra-asgi here"
        )


class Fields:
    """The fields of one object in a document, each checked as it is taken. Unknown ones are passed over.

    Args:
        value: what should be an object.
    """

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        if type(value) is not dict:
            raise _Misfit(f"{_shown(value)} is not an object")
        self._value: dict[str, object] = value

    def misfit(self, name: str, expected: str) -> Exception:
        """The error of a field that should have been something else."""
        if name not in self._value:
            return _Misfit(f"{name} is missing: expected {expected}")
        return _Misfit(f"{name} is {_shown(self._value[name])}: expected {expected}")

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._value.get(name) is not None

    def text(self, name: str, default: str | None = None, *, form: re.Pattern[str] = PLAIN, most: int = 2048) -> str:
        """A text of a given form and at most so many characters."""
        value = self._value.get(name, default)
        if type(value) is not str or len(value) > most or form.fullmatch(value) is None:
            raise self.misfit(name, f"at most {most} characters of the right kind")
        return value

    def one_of(self, name: str, values: Mapping[str, T], default: T | None = None) -> T:
        """One of a few words, as what it stands for."""
        word = self._value.get(name)
        if word is None and default is not None:
            return default
        found = values.get(word) if type(word) is str else None
        if found is None:
            raise self.misfit(name, f"one of {', '.join(values)}")
        return found

    def integer(self, name: str, low: int = -(2**63), high: int = 2**63 - 1, default: int | None = None) -> int:
        """A whole number within bounds."""
        value = self._value.get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise self.misfit(name, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str, most: float) -> float:
        """A number from 0 on."""
        value = self._value.get(name)
        if (type(value) is not float and type(value) is not int) or not 0 <= value <= most:
            raise self.misfit(name, f"a number from 0 to {most:g}")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._value.get(name, default)
        if type(value) is not bool:
            raise self.misfit(name, "true or false")
        return value

    def texts(self, name: str, most: int, *, form: re.Pattern[str] = PLAIN, most_characters: int = 2048) -> list[str]:
        """A list of texts of a given form."""
        values = self._items(name, most)
        for index, value in enumerate(values):
            if type(value) is not str or len(value) > most_characters or form.fullmatch(value) is None:
                raise _Misfit(
                    f"{name}[{index}] is {_shown(value)}: "
                    f"expected at most {most_characters} characters of the right kind"
                )
        return values  # type: ignore[return-value]  # the loop has seen that all of them are texts

    def each(self, name: str, most: int, read: Callable[["Fields"], T]) -> tuple[T, ...]:
        """A list of objects, each read in the same way. Errors of ours say at which one it was."""
        found: list[T] = []
        items = self._items(name, most)
        try:
            for value in items:
                found.append(read(Fields(value)))  # noqa: PERF401  # its length says where an error was
        except (_Misfit, HydraError) as error:
            raise _Misfit(f"{name}[{len(found)}]: {error}") from None
        return tuple(found)

    def inner(self, name: str, read: Callable[["Fields"], T]) -> T:
        """An object inside this one. Errors of ours say that it was there."""
        try:
            return read(Fields(self._value.get(name)))
        except (_Misfit, HydraError) as error:
            raise _Misfit(f"{name}: {error}") from None

    def _items(self, name: str, most: int) -> list[object]:
        value = self._value.get(name, [])
        if type(value) is not list or len(value) > most:
            raise self.misfit(name, f"a list of at most {most}")
        return value


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value[:80])
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value)[:80]
