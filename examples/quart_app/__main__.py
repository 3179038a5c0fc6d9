"""Starts one instance of the order service: `python -m examples.quart_app --port 8002 --version 2`."""

import argparse
import sys

from examples import options, site

__all__ = ["main"]

PROGRAM = "python -m examples.quart_app"


def main(arguments: list[str] | None = None) -> int:
    """Read the options and serve; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    options.require(PROGRAM, ("jinja2", "quart", "uvicorn"))
    port = chosen.port or site.PORT + chosen.version
    bound = options.bind(PROGRAM, port)

    from examples.member import Running, run  # after the options, so that --help needs no extra
    from examples.quart_app.app import create_app

    app = create_app(
        version=chosen.version,
        weight=site.WEIGHTS[chosen.version] if chosen.weight is None else chosen.weight,
        gateways=chosen.gateway or [site.origin(site.PORT)],
        address=site.origin(port),
    )
    member = site.Member(site.ORDERS, chosen.version, port, "examples.quart_app")
    running = Running(
        member,
        app,
        app.extensions["hydra"],
        gateway=False,
        supervised=chosen.supervised,
        log_level=chosen.log_level,
    )
    return run(running, bound)


def _parser() -> argparse.ArgumentParser:
    parser = options.member_parser(
        "examples.quart_app",
        "Start one instance of the order service. It joins the site of the gateway, also one that is running already.",
    )
    weights = ", ".join(f"{weight} for version {version}" for version, weight in site.WEIGHTS.items())
    parser.add_argument(
        "--port",
        type=options.port(),
        metavar="N",
        help=f"where it listens (default: {site.PORT} plus the version)",
    )
    parser.add_argument(
        "--version",
        type=int,
        choices=tuple(site.WEIGHTS),
        default=1,
        help="which version of the service to run (default: 1)",
    )
    parser.add_argument(
        "--weight", type=options.weight, metavar="W", help=f"its share of the users (default: {weights})"
    )
    parser.add_argument(
        "--gateway",
        type=options.url,
        action="append",
        metavar="URL",
        help=f"where it registers; may be repeated, they are tried in turn (default: {site.origin(site.PORT)})",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
