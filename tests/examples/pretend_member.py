"""Stands in for a process of the example site: it reports what its options say, and serves nothing.

    python -m tests.examples.pretend_member --port 1 [--says LINE ...] [--exits CODE | --stays] --supervised

Without `--stays` it ends with standard input, as a member does.
"""

import argparse
import os
import signal
import sys


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--says", action="append", default=[])
    parser.add_argument("--exits", type=int)
    parser.add_argument("--stays", action="store_true")
    parser.add_argument("--supervised", action="store_true")
    chosen, _ = parser.parse_known_args()
    for line in chosen.says:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    if chosen.exits is not None:
        if chosen.exits < 0:
            os.kill(os.getpid(), -chosen.exits)
        return int(chosen.exits)
    sys.stdin.read()
    if chosen.stays:
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
