"""A snapshot as a file: whole, or not at all."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.instance import Address, Revision, Route, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import ServiceSettings, SharePolicy
from hydra_asgi.wire import stored_snapshot
from hydra_asgi.wire.stored_document import StoredDocumentError
from hydra_asgi.wire.stored_snapshot import dump_snapshot, parse_snapshot
from tests.wire.stored_strategies import snapshots

LISTED = ServiceInstance(
    "orders", Address("http", "10.0.0.1", 8001), routes=(Route("/o"),), token=1_000_000_000, order=1, active=False
)
SNAPSHOT = Snapshot(
    Revision("epoch-1", 17),
    (LISTED, replace(LISTED, service="shop", token=1_000_000_001, weight=0.0, active=True)),
    {"orders": ServiceSettings(policy=SharePolicy.EQUAL_SHARE)},
)


def remade(body: bytes) -> bytes:
    """Lines that somebody has changed, under a checksum that fits."""
    head, _, rest = body.partition(b"\n")
    fields = json.loads(head) | {"sha256": sha256(rest).hexdigest()}
    return json.dumps(fields).encode() + b"\n" + rest


@given(snapshots)
def test_what_is_written_is_read(snapshot: Snapshot) -> None:
    """Everything that is listed comes back: order, token, state and effective weight too."""
    assert parse_snapshot(dump_snapshot(snapshot)) == snapshot


def test_an_empty_directory_is_a_snapshot_too() -> None:
    """A site without instances is written and read."""
    empty = Snapshot(Revision("e", 0))
    assert parse_snapshot(dump_snapshot(empty)) == empty


@given(st.integers(0, 2000), st.integers(0, 255), st.booleans())
def test_a_damaged_file_is_refused(place: int, byte: int, cut: bool) -> None:
    """A file that is cut anywhere or has one other byte is no snapshot, unless the byte was the same."""
    whole = dump_snapshot(SNAPSHOT)
    place %= len(whole)
    damaged = whole[:place] if cut else whole[:place] + bytes([byte]) + whole[place + 1 :]
    try:
        parsed = parse_snapshot(damaged)
    except StoredDocumentError:
        return
    # The checksum is over the lines; the counter and epoch before them only name the state.
    assert replace(parsed, revision=SNAPSHOT.revision) == SNAPSHOT


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_file_that_was_changed_on_purpose(place: int, byte: int) -> None:
    """With a checksum that fits, each line is still checked like any document."""
    whole = dump_snapshot(SNAPSHOT)
    start = whole.index(b"\n") + 1
    place = start + place % (len(whole) - start)
    try:
        parsed = parse_snapshot(remade(whole[:place] + bytes([byte]) + whole[place + 1 :]))
    except StoredDocumentError:
        return
    assert parse_snapshot(dump_snapshot(parsed)) == parsed


WRONG = [
    (b'"token":1000000000', b'"token":1', "token is 1"),
    (b'"order":1', b'"order":-1', "order is -1"),
    (b'"of":"orders"', b'"of":"h"', "reserved"),
    (b'"of":"orders"', b'"of":null', "of is None"),
    (b'"EQUAL_SHARE"', b'"X"', "settings: policy is 'X'"),
    (b'"template":"/o"', b'"template":"o"', "routes[0]: path template 'o'"),
]


@pytest.mark.parametrize(("old", "new", "reason"), WRONG, ids=[reason for *_, reason in WRONG])
def test_a_line_that_cannot_be_used(old: bytes, new: bytes, reason: str) -> None:
    """One bad line makes the file unusable, and the error says what is wrong with it."""
    with pytest.raises(StoredDocumentError) as error:
        parse_snapshot(remade(dump_snapshot(SNAPSHOT).replace(old, new)))
    assert reason in error.value.reason


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"",
        lambda body: b"\x00" * 100,
        lambda body: body + b"{}",
        lambda body: body + b"{}\n",
        lambda body: body.replace(b'"instances":2', b'"instances":3'),
        lambda body: body.replace(b'"instances":2', b'"instances":-2'),
        lambda body: body.replace(b'"epoch":"epoch-1"', b'"epoch":""'),
        lambda body: body.replace(b'"schema":1', b'"schema":2'),
    ],
)
def test_another_file(change: object) -> None:
    """A file of something else, or of a later form, is the one error."""
    with pytest.raises(StoredDocumentError, match="entry 'snapshot'"):
        parse_snapshot(change(dump_snapshot(SNAPSHOT)))  # type: ignore[operator]


def test_a_huge_file_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit before any work."""
    body = dump_snapshot(SNAPSHOT)
    monkeypatch.setattr(stored_snapshot, "MAX_SNAPSHOT", len(body) - 1)
    with pytest.raises(StoredDocumentError, match="bytes, at most"):
        parse_snapshot(body)
