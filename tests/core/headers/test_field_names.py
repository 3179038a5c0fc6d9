"""What is known of a message's field names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.headers.field_names import field_names
from hydra_asgi.core.headers.header_fields import field_values, lowered

Pairs = list[tuple[bytes, bytes]]

names = st.sampled_from([b"host", b"Via", b"via", b"", b"a b", b"x\ny", b"\n", b"content-length", b"Transfer-Encoding"])


@given(st.lists(st.tuples(st.one_of(names, st.binary(max_size=4)), st.binary(max_size=3)), max_size=8))
def test_names_say_what_the_fields_say(headers: Pairs) -> None:
    """Whatever is worked out from names once is what a look at every field would find."""
    found = field_names(headers)
    assert [*found.lower] == [name for name, _ in lowered(headers)]
    assert found.is_lower == (headers == lowered(headers))
    assert found.size == sum(len(name) for name, _ in headers)
    for name in {name for name, _ in lowered(headers)} | {b"host"}:
        assert found.values(headers, name) == field_values(lowered(headers), name)
    assert found.has_framing == bool({b"content-length", b"transfer-encoding"} & {*found.lower})


@pytest.mark.parametrize("name", [b"", b"a b", b"a\nb", b"\n", b"a:", b"\xe4", b"a\n"])
def test_a_name_that_is_no_token_is_seen(name: bytes) -> None:
    """Empty names, blanks, colons and line breaks are no names, alone and beside others."""
    assert not field_names([(name, b"")]).are_tokens
    assert not field_names([(b"host", b""), (name, b""), (b"via", b"")]).are_tokens


def test_names_that_come_again_are_known() -> None:
    """The same list of names is worked out once; a long one is never kept, and none at all is one, too."""
    headers = [(b"host", b"a"), (b"x-known", b"b")]
    assert field_names(headers) is field_names([(b"host", b"c"), (b"x-known", b"d")])
    long = [(b"x" * 2049, b"")]
    assert field_names(long) is not field_names(long)
    assert field_names(long).are_tokens
    assert field_names([]).lower == ()
    assert field_names([]).are_tokens
