"""What a gateway answers, and how our service side reads it."""

import json
from pathlib import Path

import pytest

from hydra_asgi.core.directory.overview import MenuEntry, Overview, ServiceView
from hydra_asgi.wire.answer import (
    MAX_ANSWER,
    Answer,
    AnswerWriter,
    Beat,
    parse_answer,
    parse_beat,
)

RECORDINGS = Path(__file__).parent.parent / "recordings" / "medusa-0.9.5"
OVERVIEW = Overview(
    "e.7",
    (ServiceView("orders", True, (1, 2), 3, ("/orders/{id:int}", "no slash")),),
    {"main": (MenuEntry("/orders", "Orders", "orders"),)},
)


def overview_of(services: int, routes: int) -> Overview:
    views = (
        ServiceView(f"s{n}", True, (1, 2), 1, tuple(f"/s{n}/a-rather-long-path/{m}" for m in range(routes)))
        for n in range(services)
    )
    return Overview("e.8", tuple(views))


def test_round_trip() -> None:
    """Our service side reads back the token and the overview."""
    assert parse_answer(AnswerWriter().registration(1234567890, OVERVIEW)) == Answer(True, 1234567890, OVERVIEW)


def test_java_reads_it() -> None:
    """Java finds an object with `publicKey`, `services` and a `roleMappings` that is an object, and no resources."""
    value = json.loads(AnswerWriter().registration(1234567890, OVERVIEW))
    assert value["publicKey"] is None
    assert value["roleMappings"] == {}
    (service,) = value["services"]
    assert service["serviceName"] == "orders"
    assert [one["version"] for one in service["activeServices"]] == [1, 2]
    for one in service["activeServices"]:
        assert one["endpoints"] == ["/orders/{id:\\d+}"]
        assert one["staticResources"] == []
        assert None not in (one["webProtocol"], one["host"], one["port"], one["socketPort"])


@pytest.mark.parametrize(
    ("services", "routes", "has_services", "has_overview"),
    [(10, 10, True, True), (80, 50, False, True), (500, 50, False, False)],
)
def test_never_too_large(services: int, routes: int, has_services: bool, has_overview: bool) -> None:
    """An answer stays within what Java reads: the list of services goes first, then the overview."""
    body = AnswerWriter().registration(1234567890, overview_of(services, routes))
    assert len(body) <= MAX_ANSWER
    value = json.loads(body)
    assert bool(value["services"]) is has_services
    answer = parse_answer(body)
    assert answer.token == 1234567890
    assert (answer.overview is not None) is has_overview


@pytest.mark.parametrize("name", ["registration", "registration-second"])
def test_a_java_gateway_is_recognised(name: str) -> None:
    """What the Java gateway answered has nothing of ours in it."""
    body = (RECORDINGS / f"{name}.response.http").read_bytes().partition(b"\r\n\r\n")[2]
    assert parse_answer(body) == Answer(is_hydra_asgi=False)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"not json", b'{"hydraAsgi":null}', b'{"hydraAsgi":[]}'])
def test_whatever_is_not_ours_is_java(body: bytes) -> None:
    """An answer that cannot be read is treated as a Java gateway's, which tells us nothing."""
    assert parse_answer(body) == Answer(is_hydra_asgi=False)
    assert parse_beat(body) == Beat()


def test_a_wrong_overview_does_not_undo_a_registration() -> None:
    """The rest of an answer counts when its overview or token cannot be read."""
    assert parse_answer(b'{"hydraAsgi":{"token":"x","overview":{"services":1}}}') == Answer(True)


def test_beats_bring_the_overview_when_it_is_another() -> None:
    """A node that is up to date is told `true`, any other gets the overview."""
    assert AnswerWriter().beat(OVERVIEW, "e.7") == b"true"
    assert parse_beat(b"true") == Beat()
    assert parse_beat(AnswerWriter().beat(OVERVIEW, "e.6")) == Beat(OVERVIEW)


def test_a_beat_that_did_not_reach_the_store() -> None:
    """A gateway says when it could not renew the lease, so that the node can look for another way."""
    assert parse_beat(AnswerWriter().beat(OVERVIEW, "e.7", is_stale=True)) == Beat(None, is_stale=True)
    assert parse_beat(AnswerWriter().beat(OVERVIEW, "e.6", is_stale=True)) == Beat(OVERVIEW, is_stale=True)


def test_a_writer_follows_the_overview() -> None:
    """What is told is the overview of this call, with this call's token, whatever was told before."""
    writer = AnswerWriter()
    other = overview_of(2, 2)
    for overview in (OVERVIEW, OVERVIEW, other, OVERVIEW):
        for token in (1234567890, 2147483647):
            assert parse_answer(writer.registration(token, overview)) == Answer(True, token, overview)
        assert parse_beat(writer.beat(overview, "")) == Beat(overview)
        assert parse_beat(writer.beat(overview, "", is_stale=True)) == Beat(overview, is_stale=True)
        assert writer.beat(overview, overview.revision) == b"true"


def test_an_overview_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many services are told about it."""
    written: list[Overview] = []

    def count(overview: Overview) -> dict[str, object]:
        written.append(overview)
        return {"revision": overview.revision}

    monkeypatch.setattr("hydra_asgi.wire.answer.overview_value", count)
    writer = AnswerWriter()
    for token in range(1_000_000_000, 1_000_000_100):
        writer.registration(token, OVERVIEW)
        writer.beat(OVERVIEW, "")
    assert len(written) == 2
