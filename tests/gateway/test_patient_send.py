"""Clients that take nothing."""

import asyncio
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.lookout import Lookout
from hydra_asgi.gateway.patient_send import PatientSend


async def never(message: Any) -> None:
    await asyncio.Event().wait()


async def test_pieces_are_passed_on() -> None:
    """What the client takes is sent as it is, and nobody looks any longer."""
    lookout = Lookout(0.002)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    with PatientSend(send, 0.01, lookout) as patient:
        await patient(b"one")
        assert len(lookout) == 1
        await patient(b"two", more=False)
    assert not len(lookout)
    assert sent == [
        {"type": "http.response.body", "body": b"one", "more_body": True},
        {"type": "http.response.body", "body": b"two", "more_body": False},
    ]


async def test_a_piece_that_nobody_takes_fails() -> None:
    """After its time it is a slow client, and the task that sent goes on."""
    with pytest.raises(UpstreamError) as slow, PatientSend(never, 0.01, Lookout(0.002)) as patient:
        await patient(b"x")
    assert slow.value.kind is ErrorKind.CLIENT_SLOW
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_only_the_client_s_time_counts() -> None:
    """Between two pieces as much time may pass as the instance wants, and a piece that was taken late is taken."""
    looks: list[float] = []
    loop = asyncio.get_running_loop()

    async def send(message: Any) -> None:
        looks.append(loop.time())

    with PatientSend(send, 0.005, Lookout(0.002)) as patient:
        await patient(b"x")
        passed = asyncio.Event()
        loop.call_later(0.03, passed.set)
        await passed.wait()
        await patient(b"x")
    assert looks[1] - looks[0] > 0.02


async def test_a_cancellation_from_outside_stays_one() -> None:
    """Who cancels the request gets a cancelled request."""
    with PatientSend(never, 60.0, Lookout(0.002)) as patient:
        sending = asyncio.create_task(patient(b"x"))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_without_a_time_a_client_may_be_as_slow_as_it_likes() -> None:
    """With None nobody looks."""
    taken = asyncio.Event()

    async def send(message: Any) -> None:
        await taken.wait()

    with PatientSend(send, None, Lookout(0.002)) as patient:
        asyncio.get_running_loop().call_later(0.02, taken.set)
        await patient(b"x")
