"""The commands.

Exit codes: 0 fine; 1 the answer is not the good one (routes conflict, nobody answers, somebody else was quicker); 2 the
call is wrong; 3 the store is away.
"""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from rich.text import Text

from hydra_asgi.cli import weights
from hydra_asgi.cli.directory import instances, live_routes, services
from hydra_asgi.cli.drain import drain, undrain
from hydra_asgi.cli.explain import explain
from hydra_asgi.cli.gateway import gateway
from hydra_asgi.cli.loading import LoadError, load_app
from hydra_asgi.cli.output import console, fail
from hydra_asgi.cli.report import as_json, print_tables
from hydra_asgi.cli.shared_store import WRONG, AsJson, StoreUrl
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
application.command()(services)
application.command()(instances)
application.command()(explain)
application.command()(drain)
application.command()(undrain)
application.add_typer(weights.application, name="weights")


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
    app: Annotated[
        list[str] | None, typer.Option(help="An app, as module:attribute or module:factory(). May be repeated.")
    ] = None,
    store: StoreUrl = None,
    as_json_: AsJson = False,
    prefix: Annotated[str | None, typer.Option(help="Publish below this path, instead of the mounted prefix.")] = None,
) -> None:
    """List routes: those that an app would publish (--app), or those of a site that runs (--store).

    For apps: what is published, what is not and why, and what conflicts. For a site: who publishes what, and which
    routes are not answered by who publishes them. Ends with 1 where routes conflict.
    """
    if not app:
        if prefix is not None:
            fail(WRONG, "--prefix goes with --app: a site that runs has its prefixes already")
        raise typer.Exit(1 if live_routes(store, as_json=as_json_) else 0)
    try:
        surveys = [survey(name, load_app(name), prefix=prefix) for name in app]
    except (LoadError, ConfigurationError) as error:
        fail(WRONG, str(error))
    found = list(conflicts(surveys))
    between_apps = [sentence for sentence, is_between in found if is_between]
    if as_json_:
        sys.stdout.write(as_json(surveys, between_apps) + "\n")
    else:
        out = console()
        print_tables(out, surveys)
        for sentence in between_apps:
            out.print(Text(f"conflict: {sentence}", "red"), soft_wrap=True)
    raise typer.Exit(1 if found else 0)
