"""What is remembered of one instance: how it answered lately, and until when it is spared.

An instance is *ejected* after several failures in a row, or when many of its answers are server errors. It is then
spared for a time that doubles with each ejection; after that one request at a time finds out how it is, and the first
good answer ends it all. Time and outcomes are arguments; nothing here decides who is asked instead (`preference`).

Rules for editors: every `begin` is followed by exactly one of `answered`, `failed` and `dropped`, so that `waiting`
counts right. Requests that were sent before an ejection say nothing new about it: a hundred failures at once are one.
"""

from dataclasses import dataclass

from hydra_asgi.core.health.preference import Standing

__all__ = ["Change", "InstanceRecord"]

STREAK = 3
"""Failures in a row: one may be chance, and each one more is a user who waited."""

RATIO = 0.4
"""Server errors among the answers: above what one broken page causes, below an instance that fails half of the time."""

MIN_RESULTS = 20
"""Fewer answers are too few to call it a ratio: one in four failing would look like one in two too often."""

WINDOW_SECONDS = 10.0
"""Answers are counted from a failure on for this long."""

FIRST_SECONDS = 1.0
"""The first ejection: a restart of a process takes about as long."""

MAX_SECONDS = 60.0
"""The longest ejection, and how long an instance has to be well until its earlier ejections are forgotten."""

SILENT_REQUESTS = 8
"""So many requests sent since the last answer: where answers come as fast as requests, chance hardly does that."""

SILENT_SECONDS = 0.5
"""Far below the first-byte timeout, before which nothing is known for certain: whoever is sent there meanwhile waits
for that. Taking a pause for a silence costs little: others are asked until the next answer comes."""

SILENT_PROBE_SECONDS = 1.0
"""While an instance is silent, one request a second tries whether it still is."""


@dataclass(frozen=True, slots=True)
class Change:
    """An instance was ejected, or came back.

    Attributes:
        seconds: how long it is spared; 0 when it is used again.
    """

    seconds: float


_BACK = Change(0.0)


class InstanceRecord:
    """The record of one instance.

    Attributes:
        waiting: requests that were sent and have neither an answer nor a failure yet.
        is_forgotten: it counts no longer; whoever asks for the instance's record gets another.
    """

    __slots__ = (
        "_ejections",
        "_failures",
        "_last_sent",
        "_number",
        "_probe",
        "_quiet_since",
        "_refuses",
        "_results",
        "_stale",
        "_streak",
        "_unanswered",
        "_until",
        "_well_since",
        "_window_ends",
        "is_forgotten",
        "waiting",
    )

    def __init__(self) -> None:
        self.waiting = 0
        self.is_forgotten = False
        self._number = 0  # of the last request
        self._last_sent = self._quiet_since = 0.0
        self._unanswered = 0  # requests sent since then
        self._streak = 0
        self._refuses = False
        self._window_ends = 0.0
        self._results = self._failures = 0
        self._until: float | None = None  # set: ejected, though perhaps only until the next answer
        self._stale = 0  # requests up to this number were sent before the last ejection
        self._probe = 0  # the number of the request that finds out
        self._ejections = 0
        self._well_since = 0.0

    @property
    def is_blank(self) -> bool:
        """Nothing is known that a new record would not say."""
        return not (self.waiting or self._streak or self._results or self._ejections)

    def standing(self, now: float) -> Standing:
        """Whether a request may go there now."""
        if self._until is None:
            is_resting = self._is_silent(now) and now - self._last_sent < SILENT_PROBE_SECONDS
            return Standing.AVOIDED if is_resting else Standing.GOOD
        if now >= self._until and not self._probe:
            return Standing.GOOD
        return Standing.UNREACHABLE if self._refuses else Standing.AVOIDED

    def is_doubted(self, now: float) -> bool:
        """Whether the next answer is not to be counted on: the instance is ejected, or being tried, or silent."""
        return self._until is not None or self._is_silent(now)

    def begin(self, now: float) -> int:
        """A request is sent there. Returns its number, to be given back with its outcome."""
        if self.waiting:
            self._unanswered += 1
        else:
            self._quiet_since = now
            self._unanswered = 1
        self.waiting += 1
        self._last_sent = now
        self._number += 1
        if self._until is not None and now >= self._until and not self._probe:
            self._probe = self._number
        return self._number

    def begin_well(self, now: float) -> int:
        """As `begin`, unless the instance is doubted; 0 then, and nothing was begun. In one call, for most requests."""
        if self._until is not None or (now - self._quiet_since >= SILENT_SECONDS and self._is_silent(now)):
            return 0
        if self.waiting:
            self._unanswered += 1
        else:
            self._quiet_since = now
            self._unanswered = 1
        self.waiting += 1
        self._last_sent = now
        self._number += 1
        return self._number

    def answered(self, number: int, *, good: bool, now: float) -> Change | None:
        """The head of an answer came; `good` means that it is no server error."""
        self.waiting -= 1
        if number == self._probe:
            self._probe = 0
        self._quiet_since = now  # there is no silence, or it begins now
        self._unanswered = 0
        if number <= self._stale:
            return None
        self._streak = 0
        self._refuses = False
        if not good:
            return self._count_failure(now)
        if self._until is not None:
            self._until = None
            self._well_since = now
            return _BACK
        if self._results or self._ejections:
            self._forget_old(now)
            if self._results:
                self._results += 1
        return None

    def failed(self, number: int, *, refused: bool, now: float) -> Change | None:
        """The request failed; `refused` means that nobody listens there."""
        if not self._end(number):
            return None
        self._streak += 1
        self._refuses = refused
        return self._count_failure(now)

    def broke_off(self, now: float) -> Change | None:
        """An answer that had begun well did not come to its end."""
        return None if self._until is not None else self._count_failure(now)

    def dropped(self, number: int) -> None:
        """The request ended for a reason that is not the instance's."""
        self._end(number)

    def _end(self, number: int) -> bool:
        """One request waits no longer; whether its outcome says something new."""
        self.waiting -= 1
        if number == self._probe:
            self._probe = 0
        return number > self._stale

    def _is_silent(self, now: float) -> bool:
        return now - self._quiet_since >= SILENT_SECONDS and self.waiting > 0 and self._unanswered >= SILENT_REQUESTS

    def _count_failure(self, now: float) -> Change | None:
        if self._until is not None:
            # What is sent there before its time, because nobody else is left, does not make it worse.
            return self._eject(now) if now >= self._until else None
        self._forget_old(now)
        if not self._results:
            self._window_ends = now + WINDOW_SECONDS
        self._results += 1
        self._failures += 1
        is_bad = self._results >= MIN_RESULTS and self._failures >= RATIO * self._results
        return self._eject(now) if is_bad or self._streak >= STREAK else None

    def _eject(self, now: float) -> Change:
        self._ejections += 1
        seconds = min(MAX_SECONDS, FIRST_SECONDS * 2.0 ** (min(self._ejections, 32) - 1))
        self._until = now + seconds
        self._stale = self._number
        self._results = self._failures = 0
        return Change(seconds)

    def _forget_old(self, now: float) -> None:
        """Only while it is not ejected."""
        if self._results and now >= self._window_ends:
            self._results = self._failures = 0
        if self._ejections and now - self._well_since >= MAX_SECONDS:
            self._ejections = 0
