"""The command: `python -m benchmarks`. It installs nothing, and ends what it starts."""

import argparse
import fnmatch
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import compose, match
from benchmarks.figures import InProcess, rows
from benchmarks.in_process import measure
from benchmarks.load import LOADS, LoadError
from benchmarks.machine import cores, facts
from benchmarks.peers.nginx import SUBJECT as NGINX
from benchmarks.peers.python_proxies import AIOHTTP
from benchmarks.processes import Processes, StartError
from benchmarks.report import Findings, as_json, as_page, as_text
from benchmarks.rounds import run_rounds
from benchmarks.site import DIRECT, Site, open_site

IN_PROCESS_ROUNDS = 3
"""In-process figures are measured that many times in each round: they are quick, and other processes disturb them."""

INTERRUPTED = 130


def main() -> int:
    """Measure and report; returns the exit code."""
    options = _parser().parse_args()
    if not sys.platform.startswith("linux"):
        _say("CPU seconds and cores are those of Linux; there is nothing to measure with here")
        return 1
    wanted = meant_by(options.only)
    try:
        findings = _measure(wanted, rounds=options.rounds, seconds=options.seconds)
    except (StartError, LoadError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted; everything that was started has ended")
        return INTERRUPTED
    if not findings.rows and not findings.in_process:
        _say(f"nothing was measured: --only {options.only!r} names nothing that can be, see --help")
    sys.stdout.write(as_text(findings))
    if options.json is not None:
        options.json.write_text(as_json(findings))
    if options.docs is not None:
        explanation = (Path(__file__).parent / "explanation.md").read_text()
        options.docs.write_text(as_page(findings, explanation))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="write the page of the documentation to FILE")
    parser.add_argument(
        "--only",
        default="*",
        metavar="PATTERN",
        help=f"such as 'get-1k/*', '*/hydra_asgi', 'compose' or 'match'; loads: {', '.join(x.name for x in LOADS)}",
    )
    parser.add_argument("--rounds", type=_positive(int), default=3, metavar="N", help="3 by default")
    parser.add_argument(
        "--seconds", type=_positive(float), default=1.5, metavar="S", help="of each load; 1.5 by default"
    )
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value <= 3600:
            raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 3600")
        return value

    return read


def meant_by(pattern: str) -> Callable[[str], bool]:
    """Whether a name such as `get-1k/nginx` is meant: by a pattern for all of it, or by a part of it."""
    return lambda name: pattern in name or fnmatch.fnmatchcase(name, pattern)


def _measure(wanted: Callable[[str], bool], *, rounds: int, seconds: float) -> Findings:
    known, against = facts(), (NGINX.name, AIOHTTP.name)
    proxy_core, load_core = cores()
    with tempfile.TemporaryDirectory(prefix="hydra-benchmarks-") as name, Processes(Path(name)) as processes:
        folder = Path(name)
        site = open_site(
            processes, folder, (proxy_core, load_core), lambda load, subject: wanted(f"{load.name}/{subject}"), _say
        )
        samples = run_rounds(site, rounds=rounds, seconds=seconds, folder=folder, load_core=load_core, say=_say)
    _note_cores(site, proxy_core, load_core)
    return Findings(
        facts=known,
        loads=LOADS,
        direct=DIRECT,
        against=against,
        rows=rows(samples, against),
        in_process=_in_process(wanted, rounds, proxy_core),
        notes=site.notes,
        samples=samples,
        command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
    )


def _note_cores(site: Site, proxy_core: int, load_core: int) -> None:
    if proxy_core == load_core:
        site.notes.append("one core only: the load takes time from the proxies, so requests/s say little")


def _in_process(wanted: Callable[[str], bool], rounds: int, core: int) -> list[InProcess]:
    cases = [case for case in (*compose.cases(), *match.cases()) if wanted(case.name)]
    if not cases:
        return []
    _say(f"measuring in process: {len(cases)} figures")
    os.sched_setaffinity(0, {core})
    return measure(cases, rounds * IN_PROCESS_ROUNDS)


def _say(text: str) -> None:
    sys.stderr.write(f"benchmarks: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
