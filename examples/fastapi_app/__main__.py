"""Starts the shop alone: `python -m examples.fastapi_app --port 8000`."""

import argparse
import sys

from examples import options, site

__all__ = ["main"]

PROGRAM = "python -m examples.fastapi_app"


def main(arguments: list[str] | None = None) -> int:
    """Read the options and serve; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    options.require(PROGRAM, ("fastapi", "jinja2", "uvicorn"))
    bound = options.bind(PROGRAM, chosen.port)

    from examples.fastapi_app.app import create_app  # after the options, so that --help needs no extra
    from examples.member import Running, run

    app = create_app(gateway=True, store=chosen.store)
    member = site.Member(site.SHOP, 1, chosen.port, "examples.fastapi_app")
    running = Running(
        member, app, app.state.hydra, gateway=True, supervised=chosen.supervised, log_level=chosen.log_level
    )
    return run(running, bound)


def _parser() -> argparse.ArgumentParser:
    parser = options.member_parser(
        "examples.fastapi_app",
        "Start the shop of the example site alone: the gateway, and the pages with fragments.",
    )
    parser.add_argument(
        "--port",
        type=options.port(),
        default=site.PORT,
        metavar="N",
        help=f"where it listens (default: {site.PORT})",
    )
    parser.add_argument(
        "--store",
        type=options.store,
        default=options.STORES[0],
        metavar="URL",
        help=f"where it keeps the directory: {', '.join(options.STORES)} (default: {options.STORES[0]})",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
