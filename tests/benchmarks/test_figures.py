"""From samples to figures."""

import pytest

from benchmarks.figures import InProcess, Sample, paired_ratio, rows, spread


def sample(subject: str, number: int, requests: int, cpu: float, load: str = "get", errors: int = 0) -> Sample:
    return Sample(load, subject, number, requests, 2.0, cpu, p50=0.001 * (number + 1), p99=0.01, errors=errors)


def test_medians_over_the_rounds() -> None:
    """A row has the medians of its rounds, so that one disturbed round does not count."""
    (row,) = rows([sample("a", 0, 1000, 1.0), sample("a", 1, 10, 1.0, errors=2), sample("a", 2, 1200, 1.0)], ())
    assert (row.rate, row.per_cpu, row.cpu_micros) == (500.0, 1000.0, 1000.0)
    assert (row.p50, row.p99, row.errors) == (0.002, 0.01, 2)
    assert row.spread == pytest.approx(1.19)


def test_ratios_compare_the_same_round() -> None:
    """A round in which everything was slow does not change how two subjects compare."""
    samples = [
        *(sample("a", 0, 100, 1.0), sample("b", 0, 200, 1.0)),
        *(sample("a", 1, 10, 1.0), sample("b", 1, 20, 1.0)),
    ]
    ours, theirs = rows(samples, ("b", "absent"))
    assert ours.ratios == {"b": 0.5}
    assert theirs.ratios == {"b": 1.0}


def test_loads_do_not_mix() -> None:
    """Each load has rows of its own, compared with nothing but the same load."""
    found = rows([sample("a", 0, 100, 1.0, "get"), sample("b", 0, 100, 1.0, "post")], ("b",))
    assert [(row.load, row.subject, row.ratios) for row in found] == [("get", "a", {}), ("post", "b", {"b": 1.0})]


def test_without_cpu_seconds() -> None:
    """The origin has a rate, but no CPU seconds of a proxy and so no ratios."""
    direct, _ = rows([sample("direct", 0, 100, 0.0), sample("b", 0, 100, 1.0)], ("b",))
    assert (direct.rate, direct.cpu_micros, direct.per_cpu, direct.ratios, direct.spread) == (
        50.0,
        None,
        None,
        {},
        None,
    )


def test_ratio_needs_a_common_round() -> None:
    """Rounds that one of the two has missed are left out."""
    assert paired_ratio({0: 10.0, 1: 30.0, 2: 5.0}, {1: 10.0, 2: 0.0}) == 3.0
    assert paired_ratio({0: 10.0}, {1: 10.0}) is None


def test_spread_needs_two_values() -> None:
    """One round says nothing about how far rounds are apart."""
    assert spread([7.0]) is None
    assert spread([9.0, 10.0, 12.0]) == pytest.approx(0.3)


def test_in_process_figure_is_a_median() -> None:
    """A figure measured in process is the median of its rounds."""
    assert InProcess("match/10", "", "us", "", (9.0, 1.0, 2.0)).value == 2.0
