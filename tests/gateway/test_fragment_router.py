"""Who is asked for a fragment."""

import pytest

from hydra_asgi.core.fragment import FragmentQuestion, PageContext
from hydra_asgi.gateway.fragment_router import FragmentRouter
from hydra_asgi.testing.fake_fragments import FakeFragments


@pytest.mark.parametrize(
    ("own", "service", "where"),
    [
        ("shop", "", "local"),
        ("shop", "shop", "local"),
        ("shop", "two", "remote"),
        ("", "", "local"),
        ("", "x", "remote"),
    ],
)
async def test_own_fragments_stay_in_the_app(own: str, service: str, where: str) -> None:
    """The app's own name and no name are answered locally, everything else elsewhere."""
    sources = {name: FakeFragments({(service, "r"): name}) for name in ("local", "remote")}
    router = FragmentRouter(own, sources["local"], sources["remote"])
    page = PageContext(deadline=0)
    asked = [FragmentQuestion("1", service, "r")]
    assert [answer.html async for answer in router.ask(service, asked, page)] == [where]
