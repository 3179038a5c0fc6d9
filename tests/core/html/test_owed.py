"""What is told before it is walked through."""

from hydra_asgi.core.html.owed import MAX_OWED, Owed


def test_what_is_owed_is_taken_whole_and_once() -> None:
    """In order, without pieces of nothing."""
    owed = Owed()
    for piece in (b"<p>", b"", b"a"):
        owed.add(piece)
    assert (owed.size, owed.take(), owed.size, owed.take()) == (4, b"<p>a", 0, b"")


def test_much_or_many_pieces_are_due() -> None:
    """Neither bytes nor objects pile up."""
    owed = Owed()
    owed.add(b"x" * MAX_OWED)
    assert not owed.is_due
    owed.add(b"x")
    assert owed.is_due
    owed.take()
    for _ in range(256):
        owed.add(b"x")
    assert not owed.is_due
    owed.add(b"x")
    assert owed.is_due
