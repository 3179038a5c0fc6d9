"""A source that tests may replace."""

import asyncio

from hydra_asgi.core.fragment import FragmentQuestion, PageContext
from hydra_asgi.gateway.replaceable_fragments import ReplaceableFragments
from hydra_asgi.ports import FragmentSource
from hydra_asgi.testing import FakeFragments


async def test_replacing() -> None:
    """Each question is put to whoever stands there at the moment."""
    own = FakeFragments({("orders", "a"): "own"})
    other = FakeFragments({("orders", "a"): "other"})
    present: list[FragmentSource] = []
    source = ReplaceableFragments(own, lambda source: present[0] if present else source)
    questions = [FragmentQuestion("1", "orders", "a")]

    async def ask() -> list[str | None]:
        page = PageContext(asyncio.get_running_loop().time() + 1)
        return [answer.html async for answer in source.ask("orders", questions, page)]

    assert await ask() == ["own"]
    present.append(other)
    assert await ask() == ["other"]
