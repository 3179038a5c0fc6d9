"""Import and export lists."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.binding import MAX_BINDINGS, Binding, parse_bindings
from hydra_asgi.errors import BindingError

NAMES = st.builds(
    str.__add__, st.sampled_from("aZ_"), st.text(alphabet="aZ09_.-", max_size=8).filter(lambda rest: rest != "s")
)


def test_names_and_aliases() -> None:
    """A list holds names and `name as alias`, as text or as strings, with any space around them."""
    expected = (Binding("dob", "dob"), Binding("countryOrigin", "country"))
    assert parse_bindings("dob, countryOrigin as country") == expected
    assert parse_bindings(["dob", " countryOrigin\tas  country "]) == expected
    assert parse_bindings("dob,, countryOrigin as country,") == expected
    assert parse_bindings("") == parse_bindings([]) == ()


def test_the_same_name_twice_under_two_aliases() -> None:
    """One value may be seen under two names."""
    assert parse_bindings("a as b, a as c") == (Binding("a", "b"), Binding("a", "c"))


@pytest.mark.parametrize("text", ["1a", "a as", "as b c", "a as b as c", "a b", "ä", "a=b", "a;b", "x" * 129, "a asb"])
def test_what_is_neither(text: str) -> None:
    """Anything else is refused, and shown in part."""
    with pytest.raises(BindingError, match="is not a name or 'name as alias'") as refused:
        parse_bindings(text)
    assert len(str(refused.value)) < 140


def test_a_name_bound_twice() -> None:
    """Two values for one name cannot be meant."""
    with pytest.raises(BindingError, match="'b' is bound twice"):
        parse_bindings("a as b, b")


def test_too_many() -> None:
    """A list of more names than any page needs is refused."""
    assert len(parse_bindings(f"n{number}" for number in range(MAX_BINDINGS))) == MAX_BINDINGS
    with pytest.raises(BindingError, match="65 names"):
        parse_bindings(f"n{number}" for number in range(MAX_BINDINGS + 1))


@settings(max_examples=50)
@given(st.lists(st.tuples(NAMES, NAMES), max_size=5, unique_by=lambda pair: pair[1]))
def test_what_is_written_is_read(pairs: list[tuple[str, str]]) -> None:
    """A list that was written as text comes back the same."""
    bindings = tuple(Binding(name, alias) for name, alias in pairs)
    assert parse_bindings(", ".join(map(str, bindings))) == bindings
