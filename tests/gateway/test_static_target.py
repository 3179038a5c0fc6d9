"""Where an instance keeps what is asked of it by token or by service name."""

import pytest

from hydra_asgi.core.instance import Address, Dialect, ServiceInstance
from hydra_asgi.gateway.static_target import service_static_target, token_target

RESOURCES = frozenset({"websocket.js", "css/one/x.css", "css/", "webjars/jquery/jquery.js", "a b{1}.png"})
MEDUSA = ServiceInstance("one", Address("http", "h", 1), resources=RESOURCES, dialect=Dialect.MEDUSA, token=1234567890)
OURS = ServiceInstance("one", Address("http", "h", 1), token=1234567890)


@pytest.mark.parametrize(
    ("path", "medusa", "ours"),
    [
        (b"/1234567890/websocket.js", b"/static/websocket.js", b"/static/websocket.js"),
        (b"/1234567890/css/one/x.css", b"/static/css/one/x.css", b"/static/css/one/x.css"),
        (b"/1234567890/webjars/jquery/jquery.js", b"/webjars/jquery/jquery.js", b"/static/webjars/jquery/jquery.js"),
        (b"/1234567890/a%20b%7B1%7D.png", b"/static/a%20b%7B1%7D.png", b"/static/a%20b%7B1%7D.png"),
        (b"/1234567890/socket", b"/socket", b"/socket"),
        (b"/1234567890/socket/x", None, b"/static/socket/x"),
        (b"/1234567890/actuator", None, b"/static/actuator"),
        (b"/1234567890/css/", None, b"/static/css/"),
        (b"/1234567890/", None, None),
        (b"/1234567890", None, None),
    ],
)
def test_a_token_leads_to_static_files_and_the_socket(path: bytes, medusa: bytes | None, ours: bytes | None) -> None:
    """Only the first segment is cut off, a Medusa shows only what it listed, and webjars are where it keeps them."""
    assert token_target(path, MEDUSA) == medusa
    assert token_target(path, OURS) == ours


@pytest.mark.parametrize(
    ("path", "medusa", "ours"),
    [
        (b"/one/static/css/one/x.css", b"/static/css/one/x.css", b"/static/css/one/x.css"),
        (b"/one/static/static/x", None, b"/static/static/x"),
        (b"/one/static/", None, None),
        (b"/one/other/x", None, None),
    ],
)
def test_a_service_name_leads_to_its_static_files(path: bytes, medusa: bytes | None, ours: bytes | None) -> None:
    """`/{service}/static/` is cut off once and literally."""
    assert service_static_target(path, MEDUSA) == medusa
    assert service_static_target(path, OURS) == ours
