"""Users who always get one version of a service, told by a header or a cookie of theirs.

Whoever can send the header gets the version: conditions choose among versions that are there for everybody's use and
grant nothing.
"""

from collections.abc import Iterable, Sequence

from hydra_asgi.core.service_settings import Condition, ConditionSource

__all__ = ["forced_version"]

_Pairs = list[tuple[bytes, bytes]]


def forced_version(conditions: Sequence[Condition], headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """The version of the first condition that fits a request; None when none does.

    A field that is there several times fits when one of them does (RFC 9110 section 5.3), a cookie likewise
    (RFC 6265 section 5.4: which one comes first is up to the client).

    Args:
        conditions: in the order in which they are looked at.
        headers: the request's, names in lower case.
    """
    if not conditions:
        return None
    fields = list(headers)
    cookies: _Pairs | None = None  # read when the first condition asks for them
    for condition in conditions:
        pairs = fields
        if condition.source is ConditionSource.COOKIE:
            cookies = pairs = _cookies(fields) if cookies is None else cookies
        name, value = _raw(condition.name), _raw(condition.value)
        if any(given == name and (not value or said == value) for given, said in pairs):
            return condition.version
    return None


def _raw(text: str) -> bytes:
    """The bytes as they travel; a store may hold text that is none."""
    return text.encode("utf-8", "surrogatepass")


def _cookies(fields: _Pairs) -> _Pairs:
    """Names and values as they stand in all `Cookie` fields, quotes around a value taken off."""
    pairs: _Pairs = []
    for name, value in fields:
        if name == b"cookie":
            for part in value.split(b";"):
                cookie, is_pair, said = part.strip(b" \t").partition(b"=")
                if is_pair:
                    pairs.append((cookie, _unquoted(said)))
    return pairs


def _unquoted(value: bytes) -> bytes:
    return value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value
