"""What a page lends to its fragments."""

import json
from typing import Any

import pytest
from quart import Quart
from quart import request as quart_request
from starlette.requests import Request

from hydra_asgi.errors import HydraError, LendingError
from hydra_asgi.service.attributes import FragmentRequest
from hydra_asgi.service.lending import lend, lendable
from hydra_asgi.service.mounted_app import PAGE_ATTRIBUTES
from tests.exchange import http_scope


def page_scope() -> dict[str, Any]:
    return {**http_scope(), PAGE_ATTRIBUTES: {}}


def test_values_reach_the_page() -> None:
    """Values are lent through a scope and a Starlette request; a later one replaces an earlier one."""
    scope = page_scope()
    lend(scope, {"dob": "1", "a": 1})
    lend(Request(scope), {"dob": "2"})
    assert scope[PAGE_ATTRIBUTES] == {"dob": "2", "a": 1}


async def test_quart() -> None:
    """Values are lent through Quart's request proxy."""
    attributes: dict[str, object] = {}
    async with Quart("x").test_request_context("/", scope_base={PAGE_ATTRIBUTES: attributes}):
        lend(quart_request, {"dob": "1"})
    assert attributes == {"dob": "1"}


@pytest.mark.parametrize("request_", [http_scope(), FragmentRequest("r"), {PAGE_ATTRIBUTES: "forged"}])
def test_only_pages_lend(request_: object) -> None:
    """Outside of a page of a mounted app nothing is lent, and the message says what was to be."""
    with pytest.raises(LendingError, match="dob cannot be lent: this request"):
        lend(request_, {"dob": "1"})


def test_something_else_than_a_request() -> None:
    """Something else than a request is a mistake of the caller."""
    with pytest.raises(TypeError, match=r"lend\(\) wants a request or an ASGI scope, not int"):
        lend(7, {})


def test_values_are_those_of_json() -> None:
    """A fragment sees the same values whether it is rendered here or elsewhere, and later changes reach neither."""
    basket = [("mug", 2)]
    values = {"basket": basket, "none": None, "deep": {"a": [True, 1.5, "ü"]}, "a.b-c_1": 1}
    lent = lendable(values)
    basket.clear()
    assert lent == {**values, "basket": [["mug", 2]]}
    assert json.loads(json.dumps(lent)) == lent


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def circle() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "user is <object"),
        ({1, 2}, "user is {1, 2}, which JSON has no form for"),
        (b"x", "user is b'x'"),
        (float("nan"), "user is nan"),
        (float("inf"), "user is inf"),
        ("\ud800", "user is '.ud800'"),
        ({("a",): 1}, "user is"),
        (circle(), "user is"),
        ({1: "a", "1": "b"}, "user cannot be lent: a name appears twice"),
        (nested(32), "user cannot be lent: it is nested more than 31 deep"),
        (nested(100_000), "user "),
    ],
)
def test_values_without_a_form_in_json(value: object, message: str) -> None:
    """A value that could not travel is refused where it is lent, by its name, shown in a line at most."""
    with pytest.raises(LendingError, match=message) as refused:
        lendable({"user": value})
    assert len(str(refused.value)) < 400


def test_the_deepest_value() -> None:
    """What every peer takes is lent."""
    assert lendable({"user": nested(31)}) == {"user": nested(31)}


@pytest.mark.parametrize("name", ["", "1a", "a b", "a as b", " a", "a,b", "ä", "x" * 129, "a\n"])
def test_names_that_no_tag_can_import(name: str) -> None:
    """A name that no import list can hold is refused."""
    with pytest.raises(LendingError, match="cannot be lent: a name is a letter"):
        lendable({name: 1})


def test_errors_are_ours() -> None:
    """Whoever catches our errors, or wrong values, catches this."""
    assert issubclass(LendingError, HydraError)
    assert issubclass(LendingError, ValueError)
