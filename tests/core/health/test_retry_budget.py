"""How many retries there are."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.health.retry_budget import MAX_SERVICES, RetryBudget, RetryBudgets


def storm(rate: int, seconds: int, budget: RetryBudget, began: float) -> int:
    """Requests that all fail, as do their retries; how many retries were allowed."""
    retries = 0
    for number in range(rate * seconds):
        now = began + number / rate
        budget.deposit(now)
        retries += budget.withdraw(now)
        retries += budget.withdraw(now)
    return retries


@pytest.mark.parametrize("seconds", [10, 20, 60])
def test_a_storm_is_not_amplified(seconds: int) -> None:
    """With 500 requests a second that all fail, retries stay below a quarter, after quiet times too."""
    assert storm(500, seconds, RetryBudget(0.0), 0.0) < 0.25 * 500 * seconds
    budget = RetryBudget(0.0)
    for number in range(60 * 500):
        budget.deposit(number / 500)
    assert storm(500, seconds, budget, 60.0) <= 0.25 * 500 * seconds


def test_a_killed_instance_is_covered() -> None:
    """At 200 requests a second, the requests of 300 ms on one of two instances can all be sent again at once."""
    budget = RetryBudget(0.0)
    for number in range(2_000):
        budget.deposit(number / 200)
    assert all(budget.withdraw(10.0) for _ in range(30))


def test_a_quiet_service_may_always_try_a_few() -> None:
    """Without other requests six retries are saved up, and three a second come back."""
    budget = RetryBudget(0.0)
    assert [budget.withdraw(0.0) for _ in range(7)] == [True] * 6 + [False]
    assert sum(budget.withdraw(number / 100) for number in range(1000)) in range(25, 31)


def test_unused_retries_fade() -> None:
    """What a busy minute has earned is not there for a storm in the next hour."""
    budget = RetryBudget(0.0)
    for _ in range(10_000):
        budget.deposit(0.0)
    allowed = 0
    while budget.withdraw(60.0):
        allowed += 1
    assert allowed == 6


def test_a_clock_that_stands_still_earns_nothing() -> None:
    """Time that goes backwards counts as none."""
    budget = RetryBudget(10.0)
    while budget.withdraw(10.0):
        pass
    assert not budget.withdraw(5.0)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=80))
def test_agrees_with_the_whole_history(events: list[tuple[bool, float]]) -> None:
    """The content is the floor plus every deposit and less every retry, each faded by its age."""
    budget, now = RetryBudget(0.0), 0.0
    history: list[tuple[float, float]] = []
    for is_request, pause in events:
        now += pause
        expected = 6 + sum(amount * exp(-(now - at) / 2) for at, amount in history)
        if is_request:
            budget.deposit(now)
            history.append((now, 0.2))
        elif abs(expected - 1) > 1e-6:  # where rounding does not decide
            assert budget.withdraw(now) == (expected > 1)
            if expected > 1:
                history.append((now, -1.0))


def test_services_have_budgets_of_their_own() -> None:
    """One that fails does not use up the retries of the others."""
    budgets = RetryBudgets()
    budgets.deposit("orders", 0.0)
    while budgets.withdraw("orders", 0.0):
        pass
    assert budgets.withdraw("shop", 0.0)


def test_the_number_of_budgets_is_bounded() -> None:
    """The oldest is dropped and would start anew."""
    budgets = RetryBudgets()
    while budgets.withdraw("first", 0.0):
        pass
    for number in range(MAX_SERVICES - 1):
        budgets.deposit(str(number), 0.0)
    assert not budgets.withdraw("first", 0.0)
    budgets.deposit("one more", 0.0)
    assert budgets.withdraw("first", 0.0)
