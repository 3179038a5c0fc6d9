"""The prober without a network."""

from hydra_asgi.service.no_probe import NoProbe


async def test_it_is_always_there() -> None:
    """Every host is itself, and everything can be reached."""
    assert await NoProbe().resolve("here") == ("here",)
    assert await NoProbe().why_unreachable("here", 1) is None
