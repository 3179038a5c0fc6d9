"""`hydra-asgi gateway`: the middleware without an app, served by uvicorn."""

import sys
from typing import Annotated, Literal, NoReturn

import typer

from hydra_asgi.cli.recipe import Recipe
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options import MEMORY, Options

__all__ = ["gateway"]

LogLevel = Literal["debug", "info", "warning", "error", "critical"]


def gateway(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8000,
    config: Annotated[
        str | None,
        typer.Option(envvar="HYDRA_CONFIG", help="A site file: options, and instances that register nowhere."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the directory is kept: memory://, sqlite:///path/site.db, redis://... (HYDRA_STORE).",
        ),
    ] = None,
    control: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve the control plane here, and not under /h/.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    access_log: Annotated[bool, typer.Option("--access-log", help="Write a line for each request.")] = False,
    log_level: Annotated[LogLevel, typer.Option(help="What is written at least.")] = "info",
    timeout_graceful: Annotated[
        float | None, typer.Option(min=0, help="Seconds that requests may go on after SIGTERM.", show_default="10")
    ] = None,
    limit_concurrency: Annotated[
        int | None, typer.Option(min=1, help="Connections and requests at a time; more get 503.")
    ] = None,
    limit_body: Annotated[int | None, typer.Option(min=0, help="Bytes of a request's body; more get 413.")] = None,
    limit_message: Annotated[int, typer.Option(min=1, help="Bytes of a WebSocket message.")] = 16_777_216,
) -> None:
    """Run a gateway that is nothing else: it takes registrations, forwards, and serves no pages of its own."""
    try:
        inner = None if control is None else _host_and_port(control)
        recipe = Recipe(config, store, None if control is None else False, timeout_graceful)
        hydra = recipe.make()
        _check_options(workers, hydra.options)
    except ConfigurationError as error:
        _fail(str(error))
    try:
        from hydra_asgi.cli.serving import Serving, serve
        from hydra_asgi.cli.workers import serve_in_workers
    except ModuleNotFoundError as error:
        if error.name != "uvicorn":
            raise
        _fail("hydra-asgi: uvicorn is not installed, run: pip install 'hydra-asgi[cli]'")
    serving = Serving(
        host=host,
        port=port,
        control=inner,
        access_log=access_log,
        log_level=log_level,
        grace=hydra.options.grace,
        limit_concurrency=limit_concurrency,
        limit_body=limit_body,
        limit_message=limit_message,
    )
    try:
        if workers > 1:
            raise typer.Exit(serve_in_workers(workers, recipe, serving))
        serve(hydra, serving)
    except ConfigurationError as error:
        _fail(str(error))


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"--control is {text[:120]!r}: expected HOST:PORT, such as 127.0.0.1:8001")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _check_options(workers: int, options: Options) -> None:
    if not options.enabled:
        raise ConfigurationError("enabled= (HYDRA_ENABLED) is 0: a gateway that is switched off serves nothing at all")
    if workers > 1 and not options.is_shared:
        raise ConfigurationError(
            f"--workers is {workers}, but the store is {MEMORY}: each worker would have a directory of its own, and "
            "what registers with one would be unknown to the others. Two ways out: --store sqlite:///path/site.db for "
            "the processes of one host, or --store redis://host:6379/0 for a fleet. (HYDRA_STORE says the same.)"
        )


def _fail(text: str) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise typer.Exit(2)
