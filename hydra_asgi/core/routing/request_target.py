"""What may be asked for on the first line of a request (RFC 9112 section 3.2.1)."""

import re

__all__ = ["is_request_target"]

_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")  # every visible character but `#`, which never is in a request


def is_request_target(target: bytes) -> bool:
    """Whether these bytes are a path and query that can be sent as they are: no blanks, controls or raw bytes."""
    return _TARGET.fullmatch(target) is not None
