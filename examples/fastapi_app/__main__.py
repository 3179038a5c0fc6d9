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

    is_alone = chosen.store == site.MEMORY
    role = {} if is_alone else {"address": site.origin(chosen.port)}  # others find it in the store
    app = create_app(gateway=True, store=chosen.store, **role)
    member = site.Member(site.SHOP, 1, chosen.port, "examples.fastapi_app")
    running = Running(
        member, app, app.state.hydra, gateway=is_alone, supervised=chosen.supervised, log_level=chosen.log_level
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
    options.add_store(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
