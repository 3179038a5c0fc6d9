"""One name for a request."""

import pytest

from hydra_asgi.core.headers.request_id import answer_with_id, read_request_id, with_request_id

HOST = (b"host", b"site.test")


@pytest.mark.parametrize("value", [b"a", b"7b9c7a4e-2f0a-4b0e-9f39-31a2bb3c9a11", b"Root=1-5f84/ab+c==", b"x" * 128])
def test_plain_ids_are_read(value: bytes) -> None:
    """An id of plain characters is taken as it is."""
    assert read_request_id([HOST, (b"x-request-id", value)]) == value.decode()


@pytest.mark.parametrize("value", [b"", b"a b", b"a\tb", b"x" * 129, b"\xff", b'a"b', b"a\x1b[31m", b"%s"])
def test_others_name_nothing(value: bytes) -> None:
    """What is empty, long or could mean something to a log is no id."""
    assert read_request_id([(b"x-request-id", value)]) == ""


def test_two_ids_are_none() -> None:
    """A repeated field names no request, and an absent one neither."""
    assert read_request_id([(b"x-request-id", b"a"), (b"x-request-id", b"a")]) == ""
    assert read_request_id([HOST]) == ""


def test_the_id_replaces_every_other() -> None:
    """A request has one id afterwards."""
    headers = [(b"x-request-id", b"a"), HOST, (b"x-request-id", b"b")]
    assert with_request_id(headers, "mine") == [HOST, (b"x-request-id", b"mine")]


def test_an_answer_that_names_its_request_stays() -> None:
    """An app that answers with an id of its own keeps it."""
    assert answer_with_id([HOST], "mine") == [HOST, (b"x-request-id", b"mine")]
    named = [(b"X-Request-ID", b"theirs")]
    assert answer_with_id(named, "mine") == named
