"""The body of a drain call."""

import pytest

from hydra_asgi.errors import RefusedError
from hydra_asgi.wire.drain import Drain, drain_json, parse_drain


@pytest.mark.parametrize("drain", [Drain("orders", 1234567890), Drain("orders", 1234567890, draining=False)])
def test_round_trip(drain: Drain) -> None:
    """What a node writes a gateway reads."""
    assert parse_drain(drain_json(drain)) == drain


def test_draining_is_the_default() -> None:
    """Without `draining` the instance drains; other fields are ignored."""
    assert parse_drain(b'{"service":"orders","token":1,"more":1}') == Drain("orders", 1)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"service":"orders"}', b'{"service":1,"token":1}', b'{"service":"a b","token":1}',
     b'{"service":"a","token":"1"}', b'{"service":"a","token":true}', b'{"service":"a","token":1,"draining":1}'],
)  # fmt: skip
def test_anything_else_is_refused(body: bytes) -> None:
    """A body that is not such an object is refused."""
    with pytest.raises(RefusedError) as caught:
        parse_drain(body)
    assert caught.value.status in {400, 422}
