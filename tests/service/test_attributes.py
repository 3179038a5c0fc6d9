import pytest
from quart import Quart
from quart import request as quart_request
from starlette.requests import Request

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.fragment import FragmentQuestion
from hydra_asgi.service.attributes import FragmentRequest, attributes_of, imported_attributes
from tests.exchange import http_scope

PAGE = {"dob": "1.1.2000", "countryOrigin": "BE", "secret": 1, "none": None}


def test_only_imports() -> None:
    """A fragment sees what it imports, under its own names, and nothing else."""
    bindings = (Binding("dob", "dob"), Binding("countryOrigin", "country"), Binding("absent", "absent"))
    question = FragmentQuestion("1", "s", "r", bindings)
    assert imported_attributes(question, PAGE) == {"dob": "1.1.2000", "country": "BE"}


def test_no_imports() -> None:
    """A fragment without imports sees nothing."""
    assert imported_attributes(FragmentQuestion("1", "s", "r"), PAGE) == {}


def test_medusa_asks() -> None:
    """A Medusa that asks shows everything."""
    assert imported_attributes(FragmentQuestion("1", "s", "r", None), PAGE) == PAGE


def test_read_only() -> None:
    """What a fragment sees cannot be changed by it."""
    seen = imported_attributes(FragmentQuestion("1", "s", "r", None), PAGE)
    with pytest.raises(TypeError):
        seen["dob"] = "2"  # type: ignore[index]


def test_scope_and_request() -> None:
    """Attributes are read from a scope, a Starlette request, and a fragment request."""
    scope = {**http_scope(), "hydra.attributes": PAGE}
    assert attributes_of(scope) == PAGE
    assert attributes_of(Request(scope)) == PAGE
    assert attributes_of(FragmentRequest("r", PAGE)) == PAGE


async def test_quart() -> None:
    """Attributes are read from Quart's request proxy."""
    app = Quart("x")
    async with app.test_request_context("/", scope_base={"hydra.attributes": PAGE}):
        assert attributes_of(quart_request) == PAGE


def test_outside() -> None:
    """Outside of a fragment there are none."""
    assert attributes_of(Request(http_scope())) == {}
    assert attributes_of({"hydra.attributes": "forged"}) == {}


def test_no_request() -> None:
    """Something else than a request is a mistake of the caller."""
    with pytest.raises(TypeError, match="not int"):
        attributes_of(7)
