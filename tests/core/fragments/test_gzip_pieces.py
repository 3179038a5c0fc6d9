"""Undoing gzip piece by piece."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragments.gzip_pieces import GzipPieces
from hydra_asgi.errors import UpstreamError


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3), st.integers(1, 40))
def test_members_are_decoded_however_they_are_cut(members: list[bytes], size: int) -> None:
    """Any cut of any number of members gives the bytes that went in."""
    coded = b"".join(gzip.compress(member) for member in members)
    decoder = GzipPieces()
    pieces = [piece for at in range(0, len(coded), size) for piece in decoder.feed(coded[at : at + size])]
    decoder.close()
    assert b"".join(pieces) == b"".join(members)


@pytest.mark.parametrize("size", [65536, 65536 * 3, 65536 * 3 + 1, 5_000_000])
def test_pieces_are_bounded(size: int) -> None:
    """A small input that becomes a big page is handed out in steps, and none of it stays inside."""
    decoder = GzipPieces()
    pieces = list(decoder.feed(gzip.compress(b"\0" * size)))
    decoder.close()
    assert max(map(len, pieces)) <= 65536
    assert sum(map(len, pieces)) == size


def test_a_corrupt_body_gives_what_came_before() -> None:
    """Everything in front of the corrupt byte is handed out, then the trouble is told."""
    page = bytes(range(256)) * 400
    coded = bytearray(gzip.compress(page))
    coded[-6] ^= 255  # the checksum
    pieces: list[bytes] = []
    with pytest.raises(UpstreamError) as raised:
        pieces.extend(GzipPieces().feed(bytes(coded)))
    assert b"".join(pieces) == page
    assert raised.value.kind is ErrorKind.PROTOCOL
    assert raised.value.__cause__ is not None


def test_no_gzip_is_told() -> None:
    """Plain text under a gzip label is a protocol error."""
    with pytest.raises(UpstreamError, match="corrupt"):
        list(GzipPieces().feed(b"<html>"))


def test_a_cut_body_is_told() -> None:
    """An end in the middle is not an end."""
    decoder = GzipPieces()
    list(decoder.feed(gzip.compress(b"abc")[:-4]))
    with pytest.raises(UpstreamError) as raised:
        decoder.close()
    assert raised.value.kind is ErrorKind.TRUNCATED
