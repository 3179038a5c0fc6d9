"""Central settings as a document: nothing is lost, equal content is equal bytes, rubbish is one error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy
from hydra_asgi.wire.stored_document import StoredDocumentError
from hydra_asgi.wire.stored_settings import dump_settings, parse_settings
from tests.wire.stored_strategies import settings

RICH = ServiceSettings(
    shares={2: 10, 1: 90.0},
    policy=SharePolicy.EQUAL_SHARE,
    conditions=(Condition(ConditionSource.HEADER, "x-tester", "yes", 2),),
    prefixes=("/orders",),
)


@given(settings)
def test_what_is_written_is_read(given_settings: ServiceSettings) -> None:
    """Any settings come back as they were given."""
    assert parse_settings(dump_settings(given_settings, "orders"), "orders") == given_settings


def test_the_form() -> None:
    """Shares are in the order of versions, whichever way they were given; what is not set is left out."""
    assert dump_settings(RICH, "orders") == (
        b'{"conditions":[{"name":"x-tester","source":"header","value":"yes","version":2}],"policy":"EQUAL_SHARE",'
        b'"prefixes":["/orders"],"schema":1,"shares":[{"share":90.0,"version":1},{"share":10.0,"version":2}]}'
    )
    assert dump_settings(ServiceSettings(), "orders") == b'{"schema":1}'


WRONG = [
    ({"shares": {"1": 90}}, "shares is a dict of 1"),
    ({"shares": [{"version": 1, "share": -1}]}, "shares[0]: share is -1"),
    ({"shares": [{"version": "1", "share": 1}]}, "shares[0]: version is '1'"),
    ({"shares": [{"version": 1, "share": 1}] * 1001}, "at most 1000"),
    ({"policy": "BEST"}, "policy is 'BEST': expected one of EQUAL_SHARE, NEWEST_VERSION_WINS"),
    ({"conditions": [{}]}, "conditions[0]: source is missing: expected one of header, cookie"),
    ({"conditions": [{"source": "cookie", "name": "a b", "value": "", "version": 1}]}, "conditions[0]: name is 'a b'"),
    ({"conditions": [{"source": "cookie", "name": "a", "value": "\r\n", "version": 1}]}, "conditions[0]: value is"),
    ({"prefixes": ["orders"]}, "prefixes[0] is 'orders'"),
    ({"prefixes": "/orders"}, "prefixes is '/orders'"),
    ({"schema": 9}, "it has schema 9"),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG, ids=[reason for _, reason in WRONG])
def test_a_field_that_cannot_be_used(changes: dict[str, object], reason: str) -> None:
    """The error names the service, the field, the value and what was expected."""
    body = json.dumps(json.loads(dump_settings(RICH, "orders")) | changes).encode()
    with pytest.raises(StoredDocumentError, match=r"^the store's entry 'orders': ") as error:
        parse_settings(body, "orders")
    assert reason in error.value.reason


@pytest.mark.parametrize(
    ("given_settings", "reason"),
    [
        (ServiceSettings(shares={1: float("inf")}), "no form in JSON"),
        (ServiceSettings(prefixes=("orders",)), "prefixes[0]"),
        (ServiceSettings(prefixes=["/orders"]), "other settings"),  # type: ignore[arg-type]
    ],
)
def test_what_could_not_be_read_is_not_written(given_settings: ServiceSettings, reason: str) -> None:
    """Nobody can put settings into the store that the others have to leave out."""
    with pytest.raises(StoredDocumentError) as error:
        dump_settings(given_settings, "orders")
    assert reason in error.value.reason


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_document_is_a_document_or_the_one_error(place: int, byte: int) -> None:
    """Whatever happens to the bytes, nothing else is raised."""
    body = bytearray(dump_settings(RICH, "orders"))
    body[place % len(body)] = byte
    try:
        parsed = parse_settings(bytes(body), "orders")
    except StoredDocumentError:
        return
    assert parse_settings(dump_settings(parsed, "orders"), "orders") == parsed
