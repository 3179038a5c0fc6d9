"""Reading header fields."""

from hydra_asgi.core.headers.header_fields import connection_options, field_values, lowered


def test_values_come_in_order() -> None:
    """All values of a name are found, in the order they were sent."""
    assert field_values([(b"via", b"a"), (b"x", b"b"), (b"via", b"c")], b"via") == [b"a", b"c"]


def test_names_are_made_lower_case_and_nothing_else() -> None:
    """Order, repetitions and values stay."""
    assert lowered([(b"Via", b"A"), (b"x", b"b"), (b"VIA", b"c")]) == [(b"via", b"A"), (b"x", b"b"), (b"via", b"c")]


def test_connection_options_are_lower_case_and_trimmed() -> None:
    """Every Connection field counts, and blanks around names do not."""
    headers = [(b"connection", b"Close,\tX-A "), (b"connection", b"x-b")]
    assert connection_options(headers) == {b"close", b"x-a", b"x-b"}
    assert connection_options([]) == frozenset()
