"""States in which nothing but a delimiter is markup."""

import pytest

from hydra_asgi.core.html.html_text import RAW_TEXT, text_after


def run(name: str, text: bytes) -> tuple[int, str | None]:
    state = text_after(name)
    assert state is not None
    return state.run(text, 0, len(text))


@pytest.mark.parametrize(
    ("name", "text", "position", "following"),
    [
        ("bracket", b"a'>b", 3, ""),
        ("bracket", b"abc", 3, None),
        ("comment", b"a-->b", 4, ""),
        ("comment", b"a--!>b", 5, ""),
        ("comment", b"a--!", 1, None),
        ("comment", b"a-", 1, None),
        ("cdata", b"a]]]>b", 5, ""),
        ("cdata", b"a]]", 1, None),
        ("plaintext", b"</plaintext>", 12, None),
        ("title", b"a</TITLE >", 1, ""),
        ("title", b"a</titles>", 10, None),
        ("title", b"a</title", 1, None),
        ("script", b"a<!--b", 3, "script-escaped"),
        ("script", b"a</Script/b", 1, ""),
        ("script", b"a<!-", 1, None),
        ("script-escaped", b"--></script>", 3, "script"),
        ("script-escaped", b"a<script>", 8, "script-double"),
        ("script-escaped", b"a</script>", 1, ""),
        ("script-escaped", b"a<scrip", 1, None),
        ("script-double", b"a-->", 4, "script"),
        ("script-double", b"a</script ", 9, "script-escaped"),
        ("script-double", b"a<script>", 9, None),
    ],
)
def test_a_state_ends_at_its_delimiter(name: str, text: bytes, position: int, following: str | None) -> None:
    """Each state goes on to the one the standard names, and keeps a tail that may still become a delimiter."""
    assert run(name, text) == (position, following)


def test_content_is_no_text_state() -> None:
    """Behind the last text state comes content."""
    assert text_after("") is None
    assert all(text_after(name.decode()) for name in RAW_TEXT)
