"""Waiting until this node answers at its own address."""

from collections.abc import Sequence

from hydra_asgi.core.instance import Address
from hydra_asgi.service.reachable import until_reachable


class Starting:
    """A server that accepts connections at the n-th attempt."""

    def __init__(self, attempts: int) -> None:
        self.left = attempts
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str) -> Sequence[str]:
        raise AssertionError("nothing is resolved")

    async def why_unreachable(self, host: str, port: int) -> str | None:
        self.asked.append((host, port))
        self.left -= 1
        return "connection refused" if self.left else None


async def test_waits_for_the_server() -> None:
    """The pauses grow up to a second, so that a quick start is noticed at once and a slow one costs nothing."""
    pauses: list[float] = []
    told: list[str] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    prober = Starting(8)
    await until_reachable(Address("http", "10.0.0.7", 8002), prober, sleep, told.append)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert set(prober.asked) == {("10.0.0.7", 8002)}
    assert told == []


async def test_an_address_where_nobody_is() -> None:
    """After ten seconds it is said, once, which address that is: it may be a wrong one."""

    async def sleep(seconds: float) -> None: ...

    told: list[str] = []
    await until_reachable(Address("http", "10.0.0.7", 8002), Starting(40), sleep, told.append)
    assert told == [
        "this app does not answer at its own address, 10.0.0.7:8002 (connection refused): set address= right"
    ]


async def test_only_a_port() -> None:
    """A node that knows only its port asks its own machine."""
    prober = Starting(1)
    await until_reachable(Address("http", "", 8002), prober, lambda seconds: None, print)  # type: ignore[arg-type, return-value]  # never called
    assert prober.asked == [("127.0.0.1", 8002)]
