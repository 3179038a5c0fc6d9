"""What is remembered of one instance."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.health.instance_record import Change, InstanceRecord
from hydra_asgi.core.health.preference import Standing

G, A, U = Standing.GOOD, Standing.AVOIDED, Standing.UNREACHABLE


def fail(record: InstanceRecord, now: float, *, refused: bool = False) -> Change | None:
    return record.failed(record.begin(now), refused=refused, now=now)


def answer(record: InstanceRecord, now: float, *, good: bool = True) -> Change | None:
    return record.answered(record.begin(now), good=good, now=now)


def ejected(at: float = 0.0, *, refused: bool = False) -> InstanceRecord:
    record = InstanceRecord()
    changes = [fail(record, at, refused=refused) for _ in range(3)]
    assert changes == [None, None, Change(1.0)]
    return record


def test_three_failures_in_a_row_eject() -> None:
    """One failure is chance; the third in a row spares the instance for a second."""
    record = ejected()
    assert record.standing(0.99) is A
    assert record.standing(1.0) is G
    assert record.is_doubted(5.0)


def test_one_that_refuses_connections_is_unreachable() -> None:
    """It is told apart from one that fails, because nothing is lost by leaving it out."""
    record = ejected(refused=True)
    assert record.standing(0.5) is U
    fail(record, 1.0, refused=False)
    assert record.standing(1.5) is A


def test_an_answer_between_failures_starts_the_row_anew() -> None:
    """Failures that are not in a row eject only as a ratio."""
    record = InstanceRecord()
    for now in range(0, 20, 5):
        assert fail(record, now) is None
        assert fail(record, now) is None
        assert answer(record, now) is None
    assert record.standing(20.0) is G


def test_server_errors_eject_by_their_share() -> None:
    """Eight of twenty answers within the window are too many; a server error is no failure in a row."""
    record = InstanceRecord()
    outcomes = [False] * 7 + [True] * 12 + [False]
    changes = [answer(record, 0.1 * number, good=good) for number, good in enumerate(outcomes)]
    assert changes == [None] * 19 + [Change(1.0)]


def test_fewer_server_errors_are_endured() -> None:
    """A page that fails now and then takes nobody out, and is forgotten after the window."""
    record = InstanceRecord()
    for number in range(100):
        assert answer(record, 0.01 * number, good=number % 4 != 0) is None
    assert answer(record, 20.0) is None
    assert record.is_blank


def test_answers_that_break_off_count_like_server_errors() -> None:
    """Every answer that begins well and ends early is one good and one bad result."""
    record = InstanceRecord()
    changes = []
    for now in range(11):
        assert answer(record, 0.1 * now) is None
        changes.append(record.broke_off(0.1 * now))
    assert changes == [None] * 10 + [Change(1.0)]
    assert record.broke_off(1.2) is None


def test_one_request_at_a_time_tries_again() -> None:
    """When its time is over one request goes there; while that is on its way, no other does."""
    record = ejected()
    probe = record.begin(1.0)
    assert record.standing(1.0) is A
    record.dropped(probe)
    assert record.standing(1.0) is G
    probe = record.begin(1.1)
    assert record.answered(probe, good=True, now=1.2) == Change(0.0)
    assert record.standing(1.2) is G
    assert not record.is_doubted(1.2)


def test_each_ejection_is_twice_as_long() -> None:
    """1, 2, 4 ... seconds, 60 at most, while it goes on failing."""
    record = ejected()
    now, seconds = 1.0, []
    for _ in range(40):
        change = fail(record, now)
        assert change is not None
        seconds.append(change.seconds)
        now += change.seconds
    assert seconds == [2, 4, 8, 16, 32] + [60] * 35


def test_a_server_error_is_no_recovery() -> None:
    """A probe that is answered by an error ejects again."""
    record = ejected()
    assert answer(record, 1.0, good=False) == Change(2.0)


def test_earlier_ejections_are_forgotten_by_a_minute_of_health() -> None:
    """One that fails again soon after it came back is spared for longer; much later it is new."""
    record = ejected()
    assert answer(record, 1.0) == Change(0.0)
    assert [fail(record, 30.0) for _ in range(3)] == [None, None, Change(2.0)]
    assert answer(record, 32.0) == Change(0.0)
    assert [fail(record, 92.0) for _ in range(3)] == [None, None, Change(1.0)]
    assert answer(record, 93.0) == Change(0.0)
    assert answer(record, 152.0) is None
    assert not record.is_blank
    assert answer(record, 153.0) is None
    assert record.is_blank


def test_what_was_sent_before_the_ejection_says_nothing() -> None:
    """A hundred requests that fail together are one trouble, and a late success of one of them no recovery."""
    record = InstanceRecord()
    numbers = [record.begin(0.0) for _ in range(100)]
    changes = [record.failed(number, refused=False, now=2.0) for number in numbers[:50]]
    assert changes == [None, None, Change(1.0)] + [None] * 47
    assert record.answered(numbers[50], good=True, now=2.1) is None
    assert record.standing(2.1) is A


def test_failing_before_its_time_makes_it_no_worse() -> None:
    """What is sent to an ejected instance because nobody else is left neither renews nor lengthens the ejection."""
    record = ejected()
    assert [fail(record, 0.5) for _ in range(5)] == [None] * 5
    assert record.standing(1.0) is G
    assert answer(record, 1.0, good=False) == Change(2.0)
    assert answer(record, 1.5, good=True) == Change(0.0)


def test_an_instance_that_hangs_is_noticed_before_its_timeouts() -> None:
    """Eight requests and half a second without an answer: others are asked meanwhile, but for a try each second."""
    record = InstanceRecord()
    numbers = [record.begin(0.0) for _ in range(8)]
    assert record.standing(0.4) is G
    assert not record.is_doubted(0.4)
    assert record.standing(0.5) is A
    assert record.is_doubted(0.5)
    assert record.standing(1.0) is G
    numbers.append(record.begin(1.0))
    assert record.standing(1.9) is A
    assert record.standing(2.0) is G
    assert record.answered(numbers[0], good=True, now=2.0) is None
    numbers.append(record.begin(2.0))
    assert record.standing(3.0) is G
    assert not record.is_doubted(3.0)
    for number in numbers[1:]:
        record.dropped(number)
    assert record.is_blank


def test_failures_and_clients_that_leave_are_no_sign_of_life() -> None:
    """A silence lasts while requests wait, whatever becomes of some of them, and ends with the last one."""
    record = InstanceRecord()
    numbers = [record.begin(0.0) for _ in range(9)]
    record.failed(numbers[0], refused=False, now=0.6)
    for number in numbers[1:8]:
        record.dropped(number)
    assert record.standing(0.9) is A
    record.dropped(numbers[8])
    assert record.standing(0.9) is G


def test_slow_requests_are_no_silence() -> None:
    """Seven may wait as long as they like; more of them as long as some are answered; and pauses do not count."""
    record = InstanceRecord()
    for _ in range(7):
        record.begin(0.0)
    assert record.standing(1000.0) is G
    assert not record.is_doubted(1000.0)
    answered = [record.begin(1000.0 + number / 5) for number in range(7)]
    for second, number in enumerate(answered):
        record.answered(number, good=True, now=1001.0 + second)
        record.begin(1001.5 + second)
        assert record.standing(1001.9 + second) is G


# -- against a model that keeps everything


@dataclass
class Model:
    """The rules, from the whole history."""

    news: list[tuple[float, str]] = field(default_factory=list)  # what counts, since the last change
    ejections: list[tuple[float, float]] = field(default_factory=list)  # when, for how long, of the present series
    is_ejected: bool = False
    well_since: float = 0.0

    def window(self) -> list[str]:
        """The results of the window that is open at the last one: it begins with a failure and ends after 10 s."""
        begins = None
        results: list[str] = []
        for at, outcome in self.news:
            if begins is not None and at - begins >= 10:
                begins, results = None, []
            if begins is None and outcome != "good":
                begins = at
            if begins is not None:
                results.append(outcome)
        return results

    def take(self, outcome: str, now: float) -> float | None:
        if self.is_ejected:
            at, seconds = self.ejections[-1]
            if outcome == "good":
                self.is_ejected, self.well_since, self.news = False, now, []
                return 0.0
            return self.eject(now) if now >= at + seconds else None
        self.news.append((now, outcome))
        if now - self.well_since >= 60:
            self.ejections.clear()
        if outcome == "good":
            return None
        row = [outcome for _, outcome in self.news[-3:]]
        window = self.window()
        bad = sum(outcome != "good" for outcome in window)
        if row == ["failed"] * 3 or (len(window) >= 20 and bad / len(window) >= 0.4):
            return self.eject(now)
        return None

    def eject(self, now: float) -> float:
        seconds = min(60, 2 ** len(self.ejections))
        self.ejections.append((now, seconds))
        self.is_ejected, self.news = True, []
        return float(seconds)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["good", "good", "error", "failed", "failed"]),
            st.sampled_from([0.0, 0.0, 0.0, 0.25, 1.0, 5.0, 70.0]),
        ),
        max_size=100,
    )
)
def test_one_after_the_other_agrees_with_the_model(outcomes: list[tuple[str, float]]) -> None:
    """For any history of outcomes and pauses, ejections and recoveries are those of the naive rules."""
    record, model, now = InstanceRecord(), Model(), 0.0
    for outcome, pause in outcomes:
        now += pause
        number = record.begin(now)
        if outcome == "failed":
            change = record.failed(number, refused=False, now=now)
        else:
            change = record.answered(number, good=outcome == "good", now=now)
        assert (None if change is None else change.seconds) == model.take(outcome, now)
        if model.is_ejected:
            at, seconds = model.ejections[-1]
            assert record.standing(now) is (G if now >= at + seconds else A)
        else:
            assert record.standing(now) is G
    assert record.waiting == 0


@pytest.mark.parametrize("outcome", ["good", "failed", "dropped"])
@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from(["begin", "good", "failed", "dropped"]), st.integers(0, 5), st.integers(0, 50)),
        max_size=60,
    )
)
def test_at_most_one_probe(outcome: str, steps: list[tuple[str, int, int]]) -> None:
    """However requests overlap, at most one that was let through after an ejection is on its way; counts end at 0."""
    record, now = InstanceRecord(), 0.0
    running: list[int] = []
    let_through: set[int] = set()
    for step, pause, which in steps:
        now += pause
        if step == "begin" and len(running) < 7:  # fewer than make a silence, so that doubted means ejected
            was_good, was_ejected = record.standing(now) is G, record.is_doubted(now)
            number = record.begin(now)
            running.append(number)
            if was_ejected and was_good:
                let_through.add(number)
        elif step != "begin" and running:
            number = running.pop(which % len(running))
            let_through.discard(number)
            _end(record, number, step, now)
        if not record.is_doubted(now):
            let_through.clear()
        assert len(let_through) <= 1
        assert record.waiting == len(running)
    for number in running:
        _end(record, number, outcome, now)
    assert record.waiting == 0


def _end(record: InstanceRecord, number: int, outcome: str, now: float) -> None:
    if outcome == "dropped":
        record.dropped(number)
    elif outcome == "failed":
        record.failed(number, refused=True, now=now)
    else:
        record.answered(number, good=True, now=now)


def test_a_request_is_begun_only_where_all_is_well() -> None:
    """In one call: as `begin` says it, or nothing at all."""
    record, twin = InstanceRecord(), InstanceRecord()
    for now in (0.0, 0.1, 0.7):
        assert record.begin_well(now) == twin.begin(now)
    assert record.waiting == twin.waiting == 3
    for _ in range(8):
        record.begin_well(0.8)
    waiting = record.waiting
    assert record.begin_well(2.0) == 0
    assert record.waiting == waiting
    assert ejected().begin_well(5.0) == 0
