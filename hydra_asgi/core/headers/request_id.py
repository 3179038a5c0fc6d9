"""`X-Request-Id`: one name for a request in the logs of everybody who works on it.

A name that comes from outside is somebody else's word: it is believed of our own proxies only, and only while it is
short and plain, because it ends up in logs.
"""

import re

from hydra_asgi.core.headers.header_fields import Fields, field_values

__all__ = ["REQUEST_ID", "answer_with_id", "read_request_id", "with_request_id"]

REQUEST_ID = b"x-request-id"
_LENGTH = len(REQUEST_ID)

_ID = re.compile(rb"[A-Za-z0-9._:@+/=~-]{1,128}")
"""UUIDs, ULIDs, hexadecimal and base64 names, and pairs of such; what is longer names nothing."""


def read_request_id(headers: Fields) -> str:
    """The request's id; empty when there is none, more than one, or one that is not plain. Lower-case names."""
    values = field_values(headers, REQUEST_ID)
    return values[0].decode("ascii") if len(values) == 1 and _ID.fullmatch(values[0]) else ""


def with_request_id(headers: Fields, request_id: str) -> Fields:
    """A new list with this id in the place of every other. Lower-case names."""
    kept = [pair for pair in headers if pair[0] != REQUEST_ID]
    kept.append((REQUEST_ID, request_id.encode("ascii")))
    return kept


def answer_with_id(headers: Fields, request_id: str) -> Fields:
    """A response's fields with the id, unless the response names one itself. Any case of names."""
    for name, _ in headers:
        if len(name) == _LENGTH and name.lower() == REQUEST_ID:
            return headers
    return [*headers, (REQUEST_ID, request_id.encode("ascii"))]
