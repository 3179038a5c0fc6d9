"""From samples to figures: medians over the rounds, ratios between subjects of the same round. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["InProcess", "Row", "Sample", "paired_ratio", "rows", "spread"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one load on one subject.

    Attributes:
        load: name of the load.
        subject: name of the subject.
        number: the round.
        requests: answered while it was watched.
        seconds: for how long it was watched.
        cpu: CPU seconds of the subject meanwhile; 0 for the origin, which is not measured.
        p50: seconds that half of all requests took at most.
        p99: seconds that 99 of 100 requests took at most.
        errors: failed requests.
    """

    load: str
    subject: str
    number: int
    requests: int
    seconds: float
    cpu: float
    p50: float
    p99: float
    errors: int

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def per_cpu(self) -> float | None:
        """Requests per CPU second; None where none was counted."""
        return self.requests / self.cpu if self.cpu > 0 else None


@dataclass(frozen=True, slots=True)
class Row:
    """What is known about a subject under a load; medians, None where there is nothing to say.

    Attributes:
        rate: requests in a second.
        cpu_micros: CPU microseconds of the subject for a request.
        per_cpu: requests for a CPU second of the subject.
        ratios: requests per CPU second as a multiple of another subject's, by its name.
        spread: the width of `per_cpu` over the rounds, as a part of its median.
        p50: seconds that half of the requests took at most.
        p99: seconds that 99 of 100 requests took at most.
        errors: failed requests, in all rounds together.
    """

    load: str
    subject: str
    rate: float
    cpu_micros: float | None
    per_cpu: float | None
    ratios: Mapping[str, float]
    spread: float | None
    p50: float
    p99: float
    errors: int


@dataclass(frozen=True, slots=True)
class InProcess:
    """A figure that was measured inside of one process.

    Attributes:
        name: how it is called on the command line.
        title: what it says.
        unit: of its value.
        bar: what is asked of it; empty for nothing.
        values: one for each round.
    """

    name: str
    title: str
    unit: str
    bar: str
    values: tuple[float, ...]

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)


def rows(samples: Iterable[Sample], against: Sequence[str]) -> list[Row]:
    """One row for each load and subject, in the order in which they first come.

    Args:
        samples: of all rounds.
        against: subjects with which the others are compared.
    """
    grouped: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        grouped.setdefault((sample.load, sample.subject), []).append(sample)
    return [
        _row(of_one, {name: grouped[load, name] for name in against if (load, name) in grouped})
        for (load, _), of_one in grouped.items()
    ]


def _row(samples: Sequence[Sample], others: Mapping[str, Sequence[Sample]]) -> Row:
    per_cpu = _by_round(samples)
    found = {name: paired_ratio(per_cpu, _by_round(theirs)) for name, theirs in others.items()}
    middle = median(per_cpu.values()) if per_cpu else None
    return Row(
        samples[0].load,
        samples[0].subject,
        rate=median(sample.rate for sample in samples),
        cpu_micros=None if middle is None else 1e6 / middle,
        per_cpu=middle,
        ratios={name: ratio for name, ratio in found.items() if ratio is not None},
        spread=spread(list(per_cpu.values())),
        p50=median(sample.p50 for sample in samples),
        p99=median(sample.p99 for sample in samples),
        errors=sum(sample.errors for sample in samples),
    )


def _by_round(samples: Iterable[Sample]) -> dict[int, float]:
    return {sample.number: value for sample in samples if (value := sample.per_cpu)}


def paired_ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """The median, over the rounds that both have, of one as a multiple of the other; None without such a round."""
    pairs = [value / theirs[number] for number, value in ours.items() if theirs.get(number)]
    return median(pairs) if pairs else None


def spread(values: Sequence[float]) -> float | None:
    """How far apart the values are, as a part of their median; None for fewer than two."""
    return (max(values) - min(values)) / median(values) if len(values) > 1 else None
