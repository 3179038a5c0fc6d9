"""The ways in which asking another instance can fail."""

import pytest

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind

# RFC 9209 section 2.3.
REGISTERED = {
    "dns_timeout", "dns_error", "destination_not_found", "destination_unavailable", "destination_ip_prohibited",
    "destination_ip_unroutable", "connection_refused", "connection_terminated", "connection_timeout",
    "connection_read_timeout", "connection_write_timeout", "connection_limit_reached", "tls_protocol_error",
    "tls_certificate_error", "tls_alert_received", "http_request_error", "http_request_denied",
    "http_response_incomplete", "http_response_header_section_size", "http_response_header_size",
    "http_response_body_size", "http_response_trailer_section_size", "http_response_trailer_size",
    "http_response_transfer_coding", "http_response_content_coding", "http_response_timeout", "http_upgrade_failed",
    "http_protocol_error", "proxy_internal_response", "proxy_internal_error", "proxy_configuration_error",
    "proxy_loop_detected",
}  # fmt: skip


def test_the_table_is_whole() -> None:
    """Every kind has an outcome."""
    assert set(OUTCOMES) == set(ErrorKind)


@pytest.mark.parametrize("kind", ErrorKind)
def test_outcomes_can_be_said(kind: ErrorKind) -> None:
    """A status is one of an error, and the type for Proxy-Status is a registered one."""
    outcome = OUTCOMES[kind]
    assert 400 <= outcome.status <= 599
    assert outcome.proxy_status in REGISTERED


def test_what_may_be_sent_again() -> None:
    """Only failures before the instance can have seen anything leave a request untouched."""
    assert {kind for kind in ErrorKind if OUTCOMES[kind].untouched} == {
        ErrorKind.NO_INSTANCE,
        ErrorKind.CONNECT_REFUSED,
        ErrorKind.CONNECT_TIMEOUT,
        ErrorKind.TLS,
    }
