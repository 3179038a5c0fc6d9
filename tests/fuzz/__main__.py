"""Fuzzes one target: `python -m tests.fuzz scanner --seconds 60`. Needs `pip install atheris`.

New inputs that reach new code are written to the target's corpus; findings to `tests/fuzz/findings/`. Both are replayed
by `test_corpora.py` once they are committed.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Read the options, hand over to libFuzzer."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=("scanner", "headers", "paths", "responses"))
    parser.add_argument("--seconds", type=int, default=60, help="how long to search (default: 60)")
    chosen = parser.parse_args()
    try:
        import atheris  # type: ignore[import-not-found, unused-ignore]  # only here, and only on the author's machine
    except ImportError:
        sys.exit("the fuzzer is not installed: pip install atheris")
    with atheris.instrument_imports(include=["hydra_asgi"]):
        from tests.fuzz.targets import TARGETS
    corpus, findings = HERE / "corpus" / chosen.target, HERE / "findings"
    findings.mkdir(exist_ok=True)
    flags = [f"-max_total_time={chosen.seconds}", "-max_len=4096", f"-artifact_prefix={findings}/{chosen.target}-"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], TARGETS[chosen.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
