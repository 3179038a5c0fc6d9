"""What a process knows of the directory in Redis, and how it takes over changes."""

import logging

import pytest

from hydra_asgi.backends.redis_store.replica import (
    MAX_REPORTED,
    MIN_SHARED,
    Moment,
    Page,
    Replica,
    key_text,
    read_moment,
)
from hydra_asgi.core.instance import Revision
from hydra_asgi.errors import StoreError
from hydra_asgi.wire.stored_instance import dump_instance
from tests.backends.store_rig import an_instance


def entry(port: int, token: int, *, state: int = 1, template: str = "/orders") -> list[object]:
    instance = an_instance(port, template=template)
    return [str(token).encode(), port, state, dump_instance(instance), key_text(instance).encode()]


def page(moment: str, *instances: list[object], anew: int = 0, through: int, gone: tuple[bytes, ...] = ()) -> Page:
    flat = [part for one in instances for part in one]
    return Page.read([moment.encode(), anew, through, 1, 0, [], list(gone), flat])


def take(replica: Replica, given: Page) -> list[int]:
    for _ in replica.take(given):
        pass
    return [listed.address.port for listed in replica.snapshot().instances]


@pytest.mark.parametrize("answer", [b"", b"e", b"e 1", b"e 1 x", b"e 1 2 3", b"\xff 1 2", None, 5])
def test_an_answer_that_is_no_revision_is_an_error(answer: bytes) -> None:
    """Nonsense is not taken for a state of the directory."""
    with pytest.raises(StoreError, match="which is no revision"):
        read_moment(answer)


def test_a_revision_rises_with_changes_and_tells_histories_apart() -> None:
    """As many changes in another history are another revision."""
    assert read_moment(b"e 3 7") == (Moment("e", 3, 7), None)
    assert read_moment(b"e 3 7 9 10") == (Moment("e", 3, 7), (9, 10))
    revisions = [Moment("e", 3, 7).outer, Moment("e", 3, 8).outer, Moment("e", 4, 0).outer]
    assert [revision.counter for revision in revisions] == sorted({revision.counter for revision in revisions})
    assert Moment("e", 3, 7).outer == Revision("e", Moment("e", 3, 7).outer.counter)


def test_changes_are_taken_page_by_page() -> None:
    """What was known stays, what is sent is new, what is gone is gone; the next question names where to go on."""
    replica = Replica()
    assert replica.question() == ("", 0, 0, 0, 0, 0)
    first = page("e 9 5", entry(1, 1_000_000_001), entry(2, 1_000_000_002), anew=1, through=4)
    assert not first.is_last
    assert take(replica, first) == [1, 2]
    assert replica.question() == ("e", 9, 5, 4, 0, 1)
    assert take(replica, page("e 9 5", entry(3, 1_000_000_003), through=9)) == [1, 2, 3]
    assert replica.question() == ("e", 9, 5, 9, 9, 1)
    again = [b"1000000001", 1, 0, b"", b""]
    assert take(replica, page("e 11 6", again, through=11, gone=(b"1000000002", b"1000000009"))) == [1, 3]
    assert [listed.active for listed in replica.snapshot().instances] == [False, True]
    assert take(replica, page("f 1 0", entry(4, 1_000_000_004), anew=1, through=1)) == [4]
    assert replica.snapshot().revision.epoch == "f"


def test_a_change_of_what_is_unknown_is_nothing() -> None:
    """The state of an instance whose document could not be read."""
    assert take(Replica(), page("e 2 0", [b"1000000001", 1, 1, b"", b""], anew=1, through=2)) == []


@pytest.mark.parametrize("token", [b"", b"x", b"5", b"99999999999", b"\xff", "\u0665".encode() * 10])
def test_a_token_that_is_none_is_left_out(token: bytes) -> None:
    """Tokens stand in URLs; what is none comes from somebody else."""
    given = [token, *entry(1, 1_000_000_001)[1:]]
    assert take(Replica(), page("e 2 0", given, entry(2, 1_000_000_002), anew=1, through=2)) == [2]


def test_the_log_is_not_flooded(caplog: pytest.LogCaptureFixture) -> None:
    """Of very many unreadable entries the first few are named."""
    caplog.set_level(logging.WARNING, "hydra_asgi.store")
    broken = [[str(1_000_000_000 + port).encode(), port, 1, b"{", b"orders x"] for port in range(3 * MAX_REPORTED)]
    replica = Replica()
    take(replica, page("e 2 0", *broken, anew=1, through=2))
    assert len(caplog.records) == MAX_REPORTED
    take(replica, page("f 2 0", *broken, anew=1, through=2))
    assert len(caplog.records) == MAX_REPORTED


def test_equal_parts_are_kept_once() -> None:
    """Instances of one service have the same routes; those of services that are gone are let go."""
    replica = Replica()
    same = [entry(port, 1_000_000_000 + port) for port in (1, 2)]
    take(replica, page("e 2 0", *same, anew=1, through=2))
    one, other = replica.snapshot().instances
    assert one.routes is other.routes
    for number in range(MIN_SHARED + 10):
        take(replica, page("e 2 0", entry(1, 1_000_000_001, template=f"/r{number}"), through=2))
    assert len(replica._shared) <= MIN_SHARED + 10
