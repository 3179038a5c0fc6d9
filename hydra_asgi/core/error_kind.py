"""Every way in which asking another instance can fail, as data.

Whoever adds a kind gives its status, its `Proxy-Status` error type (RFC 9209 section 2.3) and whether the request may
be sent again. The table is closed on purpose: metrics, health and answers are driven by it.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["OUTCOMES", "ErrorKind", "Outcome"]


class ErrorKind(StrEnum):
    """How a request to another instance failed."""

    NO_INSTANCE = "no-instance"
    OVERLOADED = "overloaded"
    CONNECT_REFUSED = "connect-refused"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS = "tls"
    FIRST_BYTE_TIMEOUT = "first-byte-timeout"
    IDLE_TIMEOUT = "idle-timeout"
    RESET = "reset"
    TRUNCATED = "truncated"
    PROTOCOL = "protocol"
    TOO_LARGE = "too-large"
    LOOP = "loop"
    CLIENT_GONE = "client-gone"
    CLIENT_SLOW = "client-slow"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from a kind of failure.

    Attributes:
        status: the HTTP status for the client while no byte has been sent.
        proxy_status: the error type for the `Proxy-Status` field.
        untouched: the instance cannot have seen the request, so any method may be sent again.
    """

    status: int
    proxy_status: str
    untouched: bool = False


OUTCOMES: dict[ErrorKind, Outcome] = {
    ErrorKind.NO_INSTANCE: Outcome(503, "destination_unavailable", untouched=True),
    # Not `untouched`: the limit is ours, and another instance of the service counts towards the same one.
    ErrorKind.OVERLOADED: Outcome(503, "connection_limit_reached"),
    ErrorKind.CONNECT_REFUSED: Outcome(503, "connection_refused", untouched=True),
    ErrorKind.CONNECT_TIMEOUT: Outcome(503, "connection_timeout", untouched=True),
    ErrorKind.TLS: Outcome(502, "tls_protocol_error", untouched=True),
    ErrorKind.FIRST_BYTE_TIMEOUT: Outcome(504, "http_response_timeout"),
    ErrorKind.IDLE_TIMEOUT: Outcome(504, "connection_read_timeout"),
    ErrorKind.RESET: Outcome(502, "connection_terminated"),
    ErrorKind.TRUNCATED: Outcome(502, "http_response_incomplete"),
    ErrorKind.PROTOCOL: Outcome(502, "http_protocol_error"),
    ErrorKind.TOO_LARGE: Outcome(502, "http_response_body_size"),
    ErrorKind.LOOP: Outcome(508, "proxy_loop_detected"),
    ErrorKind.CLIENT_GONE: Outcome(499, "connection_terminated"),
    ErrorKind.CLIENT_SLOW: Outcome(408, "http_request_error"),
}
