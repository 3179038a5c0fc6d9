"""What an instance hints at before it answers."""

import asyncio
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway import early_hints
from hydra_asgi.gateway.early_hints import EarlyHints

LINK = (b"link", b"</a.css>; rel=preload")


def hints(send: Any) -> EarlyHints:
    found = EarlyHints.maybe_of({"extensions": {"http.response.early_hint": {}}}, send)
    assert found is not None
    return found


async def test_links_are_passed_on_as_they_come() -> None:
    """Each interim response is a message of its own; a link is said once."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    hint = hints(send)
    await hint(103, [LINK, (b"x-other", b"1")])
    await hint(103, [LINK])
    await hint(103, [LINK, (b"link", b"</b.js>")])
    assert sent == [
        {"type": "http.response.early_hint", "links": [LINK[1]]},
        {"type": "http.response.early_hint", "links": [b"</b.js>"]},
    ]


@pytest.mark.parametrize(("status", "headers"), [(100, [LINK]), (102, [LINK]), (199, [LINK]), (103, [])])
async def test_other_interim_responses_are_the_instances_own(status: int, headers: Any) -> None:
    """They are for us, and a hint without links is for nobody."""
    sent: list[Any] = []
    await hints(sent.append)(status, headers)
    assert sent == []


@pytest.mark.parametrize("scope", [{}, {"extensions": None}, {"extensions": {"http.response.push": {}}}])
async def test_a_server_that_cannot_say_it_is_not_asked_to(scope: dict[str, Any]) -> None:
    """Only the extension tells that a message of this type is understood."""
    assert EarlyHints.maybe_of(scope, _never) is None


async def test_a_client_that_has_gone_ends_the_request() -> None:
    """A send that fails means the same for a hint as for a response."""

    async def send(message: Any) -> None:
        raise ConnectionResetError("gone")

    with pytest.raises(UpstreamError) as caught:
        await hints(send)(103, [LINK])
    assert caught.value.kind is ErrorKind.CLIENT_GONE


async def test_a_client_that_takes_no_hint_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance would be blamed for the wait; so the hint is given up, and the rest of them with it."""
    monkeypatch.setattr(early_hints, "PATIENCE_SECONDS", 0.0)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        await asyncio.Event().wait()

    hint = hints(send)
    async with asyncio.timeout(10):
        await hint(103, [LINK])
        await hint(103, [(b"link", b"</b.js>")])
    assert len(sent) == 1


async def _never(message: Any) -> None:
    raise AssertionError(message)
