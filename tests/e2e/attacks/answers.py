"""Answers that are none, that break off, or that do not end."""

from tests.e2e.attacks.attack import Attack, scenario
from tests.e2e.attacks.talker import CUT_ANSWERS, EXTRA_ANSWERS, NO_ANSWERS, Talker, answered, ask_for, check_unspoilt


@scenario
async def row_16_broken_answers(attack: Attack) -> None:
    """An answer that reads in two ways is a 502, a broken body looks broken, and the connection is not used again."""
    talker = attack.service
    assert isinstance(talker, Talker)
    names = [name for name in NO_ANSWERS if name not in (b"nul", b"cr", b"name", b"del", b"wide", b"many", b"garbage")]
    for name in names:
        received = await answered(attack, talker, name)
        assert received[0].status == 502, (name, received)
        assert received[0].header(b"proxy-status"), (name, received)
    for name in CUT_ANSWERS:
        received = await answered(attack, talker, name)
        assert received[0].status == 502 or not received[0].is_whole, (name, received)
    for name in EXTRA_ANSWERS:
        received = await answered(attack, talker, name)
        assert all(b"poison" not in answer.body for answer in received), (name, received)
        assert received[0].status in (200, 204, 304, 502), (name, received)


@scenario
async def row_17_split_answers(attack: Attack) -> None:
    """Line ends and NUL in an answer's fields are a 502, and nothing of them reaches the client."""
    talker = attack.service
    assert isinstance(talker, Talker)
    for name in (b"nul", b"cr", b"name", b"del", b"garbage"):
        received = await answered(attack, talker, name)
        assert received[0].status == 502, (name, received)
        assert all(answer.header(b"set-cookie") is None for answer in received), (name, received)


@scenario
async def row_18_endless_answers(attack: Attack) -> None:
    """A mebibyte of head, ten thousand fields, and trailers without end are bounded."""
    talker = attack.service
    assert isinstance(talker, Talker)
    for name in (b"wide", b"many"):
        received = await answered(attack, talker, name)
        assert received[0].status == 502, (name, received[0].start)
    received = await ask_for(attack, b"trailers", b"fine")
    assert received[0].status == 502 or not received[0].is_whole or len(received[0].body) == 5, received
    await check_unspoilt(attack, talker, received)


@scenario
async def row_18_informed(attack: Attack) -> None:
    """Informational answers without end are a 502, long before the time for an answer is over."""
    talker = attack.service
    assert isinstance(talker, Talker)
    received = await ask_for(attack, b"informed", seconds=1.5)
    assert [answer.status for answer in received] == [502]
