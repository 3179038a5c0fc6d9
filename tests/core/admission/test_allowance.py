"""How often somebody may call."""

from hydra_asgi.core.admission.allowance import Allowance


def spend_all(allowance: Allowance, now: float) -> tuple[int, Allowance]:
    count = 0
    while (after := allowance.spend(now, rate=10, burst=20)) is not None:
        allowance, count = after, count + 1
    return count, allowance


def test_burst_then_rate() -> None:
    """The burst may be spent at once; afterwards calls come back at the steady rate."""
    count, rest = spend_all(Allowance(20, 0), now=0)
    assert count == 20
    assert spend_all(rest, now=0.05)[0] == 0
    assert spend_all(rest, now=0.5)[0] == 5


def test_nothing_is_saved_beyond_the_burst() -> None:
    """A long silence gives no more than the burst."""
    assert spend_all(Allowance(0, 0), now=1e9)[0] == 20
