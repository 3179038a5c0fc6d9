"""Reading what wrk reports."""

import pytest

from benchmarks.load import LoadError, Result, parse_wrk

REPORT = """\
Running 60m test @ http://127.0.0.1:8080/1k
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.30ms    0.91ms  21.50ms   89.17%
    Req/Sec    39.28k     3.19k   43.26k    80.00%
  Latency Distribution
     50%  870.00us
     75%    1.41ms
     90%    2.25ms
     99%    1.20s 
  78123 requests in 2.00s, 102.83MB read
Requests/sec:  39046.12
Transfer/sec:     51.40MB
"""  # noqa: W291 - wrk ends lines so


def test_report() -> None:
    """Requests are counted, and the latencies come in seconds whatever unit each was said in."""
    result = parse_wrk(REPORT)
    assert result == Result(requests=78123, p50=result.p50, p99=1.2, errors=0)
    assert result.p50 == pytest.approx(870e-6)


def test_errors_are_added_up() -> None:
    """Failed connections and answers of the wrong status are errors alike."""
    text = REPORT.replace(
        "Requests/sec",
        "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 50\nRequests/sec",
    )
    assert parse_wrk(text).errors == 60


def test_minutes() -> None:
    """A latency may be said in minutes, as it is when a proxy hangs."""
    assert parse_wrk(REPORT.replace("1.20s", "1.50m")).p99 == 90.0


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:1 Connection refused\n", REPORT[:300]])
def test_no_report(text: str) -> None:
    """What is no whole report is an error that shows what was said instead."""
    with pytest.raises(LoadError, match="not a report of wrk"):
        parse_wrk(text)
