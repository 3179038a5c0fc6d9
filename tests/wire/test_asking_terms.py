"""How a node asks others for fragments."""

import asyncio

import pytest

from hydra_asgi.core.fragment import FragmentCause, PageContext
from hydra_asgi.wire.asking_terms import AskingTerms
from hydra_asgi.wire.peer_failure import PeerFailedError


def test_time_that_is_left() -> None:
    """It ends with the page's deadline, and then nobody is asked."""
    terms = AskingTerms(key=lambda: "k", clock=lambda: 10.0)
    assert terms.left(PageContext(11.5)) == 1.5
    with pytest.raises(PeerFailedError) as caught:
        terms.left(PageContext(10.0))
    assert caught.value.cause is FragmentCause.TIMEOUT


async def test_the_usual_clock_is_that_of_the_running_loop() -> None:
    """A page's deadline is on the same one."""
    deadline = asyncio.get_running_loop().time() + 100
    assert 0 < AskingTerms(key=lambda: "k").left(PageContext(deadline)) <= 100


def test_what_a_service_may_see_of_a_page() -> None:
    """Only what its allow-list names, or that of every service."""
    terms = AskingTerms(key=lambda: "k", forward={"orders": ["x-tenant"], "*": []})
    page = PageContext(1.0, headers=((b"x-tenant", b"a"), (b"authorization", b"secret")))
    assert terms.lent(page, "orders") == ((b"x-tenant", b"a"),)
    assert terms.lent(page, "other") == ()


def test_nobody_signs_unless_told_to() -> None:
    """Without a secret a question carries no proof."""
    assert AskingTerms(key=lambda: "k").sign("POST", "/", b"") == []
