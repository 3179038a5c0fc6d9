"""Starts the whole example site: `python -m examples`."""

import argparse
import sys

from examples import options, site
from examples.stopping import run_until_stopped
from examples.supervisor import Supervisor

__all__ = ["main"]

PROGRAM = "python -m examples"


def main(arguments: list[str] | None = None) -> int:
    """Read the options, check what can be checked, run the site; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    options.require(PROGRAM, ("fastapi", "jinja2", "quart", "uvicorn"))
    members = site.plan(chosen.port, chosen.store)
    for member in members:
        options.bind(PROGRAM, member.port).close()
    supervisor = Supervisor(members, log_level=chosen.log_level, together=chosen.together)
    return run_until_stopped(supervisor.run())


def _parser() -> argparse.ArgumentParser:
    parser = options.parser(
        "examples",
        "Start the example site: a shop (FastAPI) and two versions of its order service (Quart), each in a process "
        "of its own. The shop serves on --port, the order service on the two ports that follow. Ctrl-C ends all.",
        log_level="warning",
    )
    parser.add_argument(
        "--port",
        type=options.port(65535 - len(site.WEIGHTS)),
        default=site.PORT,
        metavar="N",
        help=f"the shop's port (default: {site.PORT})",
    )
    parser.add_argument(
        "--store",
        type=options.store,
        default=options.STORES[0],
        metavar="URL",
        help=f"where the shop keeps the directory: {', '.join(options.STORES)} (default: {options.STORES[0]})",
    )
    parser.add_argument(
        "--together",
        action="store_true",
        help="when one process ends, end the others too (otherwise the site does without a service that ends)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
