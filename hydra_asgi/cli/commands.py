"""The commands. Exit codes: 0 fine, 1 routes conflict, 2 the call is wrong."""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from hydra_asgi.cli.drain import drain
from hydra_asgi.cli.gateway import gateway
from hydra_asgi.cli.loading import LoadError, load_app
from hydra_asgi.cli.report import as_json, print_tables
from hydra_asgi.cli.survey import conflicts, survey
from hydra_asgi.errors import ConfigurationError

__all__ = ["application", "run"]

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Look at apps that share one site, and run its gateway.",
)
application.command()(gateway)
application.command()(drain)

NOT_A_TERMINAL = 200
"""Columns in a pipe or a file, where rich would fold at 80."""


def run() -> None:
    """Run the command line; does not return."""
    application()


def _show_version(wanted: bool) -> None:
    if wanted:
        try:
            number = version("hydra-asgi")
        except PackageNotFoundError:  # run from a checkout
            number = "unknown"
        sys.stdout.write(f"hydra-asgi {number}\n")
        raise typer.Exit


@application.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Take the options that belong to no command."""


@application.command()
def routes(
    app: Annotated[list[str], typer.Option(help="An app, as module:attribute or module:factory(). May be repeated.")],
    as_json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    prefix: Annotated[str | None, typer.Option(help="Publish below this path, instead of the mounted prefix.")] = None,
) -> None:
    """List the routes of one or more apps: what is published, what is not and why, and what conflicts."""
    try:
        surveys = [survey(name, load_app(name), prefix=prefix) for name in app]
    except (LoadError, ConfigurationError) as error:
        sys.stderr.write(f"hydra-asgi: {error}\n")
        raise typer.Exit(2) from None
    found = list(conflicts(surveys))
    between_apps = [sentence for sentence, is_between in found if is_between]
    if as_json_:
        sys.stdout.write(as_json(surveys, between_apps) + "\n")
    else:
        console = Console(width=None if sys.stdout.isatty() else NOT_A_TERMINAL)
        print_tables(console, surveys)
        for sentence in between_apps:
            console.print(Text(f"conflict: {sentence}", "red"), soft_wrap=True)
    raise typer.Exit(1 if found else 0)
