"""JSON from strangers."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.wire.strict_json import NotJsonError, dump_json, is_deeper, read_json
from tests.pace import at_usual_pace

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_what_we_write_is_read_back(value: object) -> None:
    """Every JSON value survives writing and reading."""
    assert read_json(dump_json(value)) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"a":1,"a":2}', "twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"[1e400]", "too large"),
        (b'["\\ud800"]', "UTF-8"),
        (b'["\\uDFFF"]', "UTF-8"),
        (b'["\xff"]', "UTF-8"),
        ("[]".encode("utf-16"), "UTF-8"),
        (b"[" * 200_000, "deep"),
        (b"1" * 200_000, "digits"),
    ],
)
def test_hostile_bodies_are_refused_quickly(body: bytes, reason: str) -> None:
    """Everything that would hurt later is refused with its reason, within 50 ms of CPU."""
    started = time.process_time()
    with pytest.raises(NotJsonError, match=reason):
        read_json(body)
    taken = time.process_time() - started
    assert taken < at_usual_pace(0.5)  # ten times the aim: the machine that runs this is shared


def test_escaped_pairs_are_text() -> None:
    """A surrogate pair in escapes is one character."""
    assert read_json(b'["\\ud83d\\ude00"]') == ["\U0001f600"]


@pytest.mark.parametrize("value", [object(), float("nan"), {1: {2: {3}}}, "\ud800"])
def test_what_has_no_form_is_refused(value: object) -> None:
    """Values that JSON cannot hold raise ValueError, whatever is wrong with them."""
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library words it
        dump_json(value)


def test_cycles_are_refused() -> None:
    """A value that holds itself raises ValueError."""
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="Circular"):
        dump_json(value)


def test_depth_is_counted_by_containers() -> None:
    """A plain value has depth 0, and each list or object around it adds one."""
    assert not is_deeper(1, 0)
    assert is_deeper([1], 0)
    assert not is_deeper([1], 1)
    assert not is_deeper({"a": [1]}, 2)
    assert is_deeper({"a": [1]}, 1)
    assert is_deeper({"b": 1, "a": [[]]}, 2)
