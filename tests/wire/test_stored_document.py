"""What all stored documents have in common: size, form, schema, and the one error."""

import pytest

from hydra_asgi.wire.stored_document import (
    MAX_DOCUMENT,
    READS,
    SCHEMA,
    Fields,
    StoredDocumentError,
    dump_document,
    read_document,
)


def word(fields: Fields) -> str:
    return fields.text("word", "none")


def test_a_document_says_its_schema() -> None:
    """Each document carries the number of its form, and may say which older forms suffice to read it."""
    assert dump_document({"word": "ü", "a": 1}, "x") == '{"a":1,"schema":1,"word":"ü"}'.encode()
    assert read_document(b'{"schema":1}', "x", word) == "none"


def test_a_writer_of_a_later_form_says_who_can_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the forms move on, the lowest one that suffices is written beside the present one."""
    monkeypatch.setattr("hydra_asgi.wire.stored_document.SCHEMA", 3)
    monkeypatch.setattr("hydra_asgi.wire.stored_document.READS", 2)
    assert dump_document({}, "x") == b'{"reads":2,"schema":3}'
    assert read_document(b'{"reads":2,"schema":3,"word":"w"}', "x", word) == "w"


@pytest.mark.parametrize("schema", [SCHEMA, SCHEMA + 1, 1_000_000])
def test_a_later_form_that_suits_older_readers_is_read(schema: int) -> None:
    """A newer node's documents are read while it says that they can be."""
    assert read_document(b'{"schema":%d,"reads":%d,"word":"w"}' % (schema, READS), "x", word) == "w"


WRONG = [
    (b"", "it is not JSON"),
    (b"\xff", "it is not JSON"),
    (b"{} {}", "it is not JSON"),
    (b'{"schema":NaN}', "it is not JSON"),
    (b'{"schema":1,"word":"\\ud800"}', "it is not JSON"),
    (b"[" * 100_000, "it is not JSON: recursion limit"),
    (b"1" * 100_000, "it is not JSON: number out of range"),
    (b"7", "7 is not an object"),
    (b"[]", "a list of 0 is not an object"),
    (b"{}", "schema is missing"),
    (b'{"schema":0}', "schema is 0"),
    (b'{"schema":"1"}', "schema is '1'"),
    (b'{"schema":true}', "schema is True"),
    (b'{"schema":1e400}', "schema is inf"),
    (b'{"schema":2}', "it has schema 2, which takes a node that knows schema 2; this one knows 1: update hydra-asgi"),
    (b'{"schema":3,"reads":2}', "it has schema 3, which takes a node that knows schema 2"),
    (b'{"schema":3,"reads":4}', "reads is 4"),
    (b'{"schema":1,"word":"' + b"x" * MAX_DOCUMENT, "at most 2097152 are read"),
    (b'{"schema":1,"word":"' + b":" * 100_001, "more than 100000 names"),
]


@pytest.mark.parametrize(("body", "reason"), WRONG, ids=[reason for _, reason in WRONG])
def test_what_cannot_be_read(body: bytes, reason: str) -> None:
    """There is one error, which names the entry and the reason."""
    with pytest.raises(StoredDocumentError) as error:
        read_document(body, "the entry", word)
    assert reason in error.value.reason
    assert len(error.value.reason) <= 300
    assert str(error.value) == f"the store's entry 'the entry': {error.value.reason}"


@pytest.mark.parametrize("value", [{"a": float("inf")}, {"a": object()}, {"a": "\ud800"}])
def test_what_has_no_form(value: dict[str, object]) -> None:
    """A value that JSON cannot say is refused before it reaches the store."""
    with pytest.raises(StoredDocumentError, match="no form in JSON"):
        dump_document(value, "x")
