"""Rest between two polls."""

import pytest

from hydra_asgi.core.directory.rest_times import CROWD_REST_SECONDS, MIN_REST_SECONDS, rest_times


@pytest.mark.parametrize(
    ("chance", "build", "deaf", "whole"),
    [
        (0.0, 0.0, MIN_REST_SECONDS, 0.72),
        (1.0, 0.0, MIN_REST_SECONDS, 0.88),
        (0.5, 0.1, 0.4, 0.8),
        (0.5, 9.0, 0.8, 0.8),
    ],
)
def test_the_rest_between_polls(chance: float, build: float, deaf: float, whole: float) -> None:
    """Polls of many nodes drift apart by a tenth, and expensive rebuilds are followed by more rest, up to a period."""
    still, listening = rest_times(0.8, chance, build)
    assert still == pytest.approx(deaf)
    assert still + listening == pytest.approx(whole)


def test_a_crowd_is_waited_for() -> None:
    """When many came or went at once, more are on their way; a long rebuild is still followed by more rest."""
    assert rest_times(0.8, 0.5, 0.0, is_crowded=True)[0] == CROWD_REST_SECONDS
    assert rest_times(0.8, 0.5, 0.1, is_crowded=True)[0] == pytest.approx(0.4)
