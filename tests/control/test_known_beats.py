"""Who has beaten lately."""

from hydra_asgi.control.known_beats import REMEMBERED_SECONDS, KnownBeats


class Rig:
    def __init__(self) -> None:
        self.now = 0.0
        self.listed = {("old", "10.0.0.1")}
        self.beats = KnownBeats(lambda: self.now, lambda service, ip: (service, ip) in self.listed)


def test_whoever_has_beaten_is_known_for_a_minute() -> None:
    """A lease, or a Medusa at its address, is known for a minute after the last beat, and longer while it beats."""
    rig = Rig()
    rig.beats.note("one", "10.0.0.2", "lease")
    rig.beats.note("two", "10.0.0.2")
    for rig.now in (50.0, 100.0):
        assert rig.beats.is_known("one", "10.0.0.2", "lease")
    assert not rig.beats.is_known("two", "10.0.0.2")
    rig.now += REMEMBERED_SECONDS
    assert not rig.beats.is_known("one", "10.0.0.2", "lease")


def test_nobody_else_is() -> None:
    """Another service, address or lease is another beat."""
    rig = Rig()
    rig.beats.note("one", "10.0.0.2", "lease")
    for who in (("two", "10.0.0.2", "lease"), ("one", "10.0.0.3", "lease"), ("one", "10.0.0.2", "other")):
        assert not rig.beats.is_known(*who)
    rig.beats.forget("one", "10.0.0.2", "lease")
    assert not rig.beats.is_known("one", "10.0.0.2", "lease")


def test_whoever_is_listed_is_known() -> None:
    """A gateway that has started only now knows those whom the last known directory lists, and goes on knowing them."""
    rig = Rig()
    assert rig.beats.is_known("old", "10.0.0.1")
    assert not rig.beats.is_known("old", "10.0.0.2")
    rig.listed.clear()
    assert rig.beats.is_known("old", "10.0.0.1")


def test_whom_the_store_has_lost() -> None:
    """Whoever was known here and is unknown to the store is told about; a stranger is not."""
    lost: list[tuple[str, str, str]] = []
    beats = KnownBeats(lambda: 0.0, on_lost=lambda *who: lost.append(who))
    beats.forget("one", "10.0.0.2", "lease")
    beats.note("one", "10.0.0.2", "lease")
    for _ in range(2):
        beats.forget("one", "10.0.0.2", "lease")
    assert lost == [("one", "10.0.0.2", "lease")]
