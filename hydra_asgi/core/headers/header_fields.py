"""Reading header fields as pairs: values of a name, and the names that `Connection` lists.

Everything here expects lower-case names, as ASGI servers give them; `lowered` makes them so for fields from elsewhere.
"""

__all__ = ["Fields", "connection_options", "field_values", "lowered"]

Fields = list[tuple[bytes, bytes]]
"""Header fields in order; names may repeat."""

_NONE: frozenset[bytes] = frozenset()


def lowered(headers: Fields) -> Fields:
    """The same fields with lower-case names."""
    return [(name.lower(), value) for name, value in headers]


def field_values(headers: Fields, name: bytes) -> list[bytes]:
    """Every value of a field, in order."""
    return [value for key, value in headers if key == name]


def connection_options(headers: Fields) -> frozenset[bytes]:
    """The lower-case names in all `Connection` fields: they end at this hop (RFC 9110 section 7.6.1)."""
    values = field_values(headers, b"connection")
    if not values:
        return _NONE
    return frozenset(option.strip(b" \t").lower() for value in values for option in value.split(b","))
