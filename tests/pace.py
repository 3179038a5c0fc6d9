"""How fast this machine is just now: bounds on processor time that hold on a slow and shared one, too."""

import time

__all__ = ["at_usual_pace"]

USUAL_SECONDS = 0.02
"""What `_work` takes on a machine of today that has nothing else to do."""


def at_usual_pace(seconds: float) -> float:
    """As much processor time as this machine needs now for what takes so many seconds at the usual pace."""
    return seconds * max(1.0, min(_work() for _ in range(3)) / USUAL_SECONDS)


def _work() -> float:
    """The processor time of a fixed piece of work in pure Python, with some memory."""
    began = time.process_time()
    found = {number: str(number) for number in range(60_000)}
    assert sum(len(text) for text in found.values()) == 288_890
    return time.process_time() - began
