"""Starts the whole example site: `python -m examples`."""

import argparse
import sys

from examples import options, site
from examples.stopping import run_until_stopped
from examples.supervisor import Supervisor

__all__ = ["main"]

PROGRAM = "python -m examples"
LAST_PORT = 65535


def main(arguments: list[str] | None = None) -> int:
    """Read the options, check what can be checked, run the site; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    options.require(PROGRAM, ("fastapi", "jinja2", "quart", "uvicorn"))
    members = site.plan(chosen.port, chosen.store)
    if members[-1].port > LAST_PORT:
        options.fail(PROGRAM, f"--port {chosen.port} leaves no room for {len(members) - 1} more ports after it")
    if chosen.store != site.MEMORY:
        options.require_store(PROGRAM, chosen.store)
    for member in members:
        options.bind(PROGRAM, member.port).close()
    supervisor = Supervisor(members, log_level=chosen.log_level, together=chosen.together)
    return run_until_stopped(supervisor.run())


def _parser() -> argparse.ArgumentParser:
    parser = options.parser(
        "examples",
        "Start the example site: a shop (FastAPI) and two versions of its order service (Quart), each in a process "
        "of its own. The shop serves on --port, the order service on the two ports that follow. With a --store that "
        "processes share, there are two shops, on --port and the one after it, and both are gateways of the same site. "
        "Ctrl-C ends all.",
        log_level="warning",
    )
    parser.add_argument(
        "--port",
        type=options.port(LAST_PORT - len(site.WEIGHTS)),
        default=site.PORT,
        metavar="N",
        help=f"the shop's port (default: {site.PORT})",
    )
    options.add_store(parser)
    parser.add_argument(
        "--together",
        action="store_true",
        help="when one process ends, end the others too (otherwise the site does without a service that ends)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
