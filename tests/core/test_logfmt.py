"""Log lines that nobody can break."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.logfmt import MAX_VALUE, logfmt


def test_pairs_in_order() -> None:
    """Pairs stand in the order given, without those that say nothing; seconds have three digits, zero is a value."""
    line = logfmt(service="orders", version=0, none=None, empty="", seconds=0.12345, kind=ErrorKind.RESET, path="/a?b")
    assert line == "service=orders version=0 seconds=0.123 kind=reset path=/a?b"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("a\r\nforged: b\t", r'"a\r\nforged: b\t"'),
        ("%{jndi}%s", r'"\x25{jndi}\x25s"'),
        ("\x1b[31m\x00\x7f", r'"\x1b[31m\x00\x7f"'),
        ("\u202eevil\u2028", r'"\u202eevil\u2028"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("\udcff", r'"\udcff"'),
        ("né", '"né"'),
        ("[::1]:80", "[::1]:80"),
    ],
)
def test_hostile_values(value: str, written: str) -> None:
    """Line ends, escape codes, quotes, format marks and direction marks are written out."""
    assert logfmt(x=value) == f"x={written}"


def test_long_values_are_cut() -> None:
    """One value cannot fill a disk."""
    assert logfmt(x="a" * MAX_VALUE) == f"x={'a' * MAX_VALUE}"
    assert logfmt(x="a" * 10_000) == f'x="{"a" * MAX_VALUE}…"'


@given(st.text(), st.text())
def test_one_event_is_one_line(first: str, second: str) -> None:
    """Whatever two values hold, the line is printable, and each value stays its own."""
    line = logfmt(a=first or "-", b=second or "-")
    assert line.isprintable()
    assert [word.partition("=")[0] for word in shlex.split(line)] == ["a", "b"]
