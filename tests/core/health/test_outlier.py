"""The records of all instances."""

from hydra_asgi.core.health.instance_record import Change
from hydra_asgi.core.health.outlier import Key, Outliers
from hydra_asgi.core.health.preference import Standing
from hydra_asgi.core.instance import Address


def key(number: int = 1) -> Key:
    return ("orders", Address("http", f"10.0.{number // 256}.{number % 256}", 8002))


def fail(outliers: Outliers, who: Key, now: float, times: int = 3) -> Change | None:
    change = None
    for _ in range(times):
        record = outliers.record(who)
        change = record.failed(record.begin(now), refused=True, now=now)
    return change


def test_a_stranger_is_good() -> None:
    """Nothing is held against an instance that nothing is known of, and asking makes it no less of a stranger."""
    outliers = Outliers()
    assert outliers.standing(key(), 0.0) is Standing.GOOD
    assert not outliers.is_doubted(key(), 0.0)
    assert len(outliers) == 0


def test_instances_are_told_apart_by_service_and_address() -> None:
    """One that fails is ejected, and neither its neighbour nor another service at its address."""
    outliers = Outliers()
    fail(outliers, key(1), 0.0)
    assert outliers.standing(key(1), 0.5) is Standing.UNREACHABLE
    assert outliers.is_doubted(key(1), 0.5)
    assert outliers.standing(key(2), 0.5) is Standing.GOOD
    assert outliers.standing(("shop", key(1)[1]), 0.5) is Standing.GOOD


def test_coming_back_under_the_same_address_is_no_new_life() -> None:
    """The pinned address may change with a registration; what is remembered stays, and grows."""
    outliers = Outliers()
    fail(outliers, key(), 0.0)
    service, address = key()
    again = (service, Address(address.scheme, address.host, address.port, pinned="10.9.9.9"))
    assert outliers.standing(again, 0.5) is Standing.UNREACHABLE
    assert fail(outliers, again, 1.0, times=1) == Change(2.0)


def test_the_healthy_make_room_first() -> None:
    """When the memory is full, records that say nothing go at once, and after them the oldest."""
    outliers = Outliers(size=3)
    fail(outliers, key(1), 0.0)
    record = outliers.record(key(2))
    record.answered(record.begin(0.0), good=True, now=0.0)
    fail(outliers, key(3), 0.0)
    fail(outliers, key(4), 0.0)
    assert [outliers.standing(key(number), 0.5) for number in (1, 3, 4)] == [Standing.UNREACHABLE] * 3
    fail(outliers, key(5), 0.0)
    standings = [outliers.standing(key(number), 0.5) for number in (1, 3, 4, 5)]
    assert standings == [Standing.GOOD] + [Standing.UNREACHABLE] * 3


def test_busy_records_are_kept_beyond_the_bound() -> None:
    """Requests that are on their way are never lost count of."""
    outliers = Outliers(size=2)
    for number in range(5):
        outliers.record(key(number)).begin(0.0)
    assert len(outliers) == 5
    for number in range(5):
        assert outliers.record(key(number)).waiting == 1
        outliers.record(key(number)).dropped(1)
    outliers.record(key(9))
    assert len(outliers) == 1


def test_ten_thousand_flapping_instances_stay_bounded() -> None:
    """A fleet that comes and goes under ever new addresses cannot grow the memory."""
    outliers = Outliers(size=100)
    for number in range(10_000):
        fail(outliers, key(number), 0.0)
    assert len(outliers) == 100
    assert outliers.standing(key(9_999), 0.5) is Standing.UNREACHABLE
