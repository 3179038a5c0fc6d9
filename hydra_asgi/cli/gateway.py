"""`hydra-asgi gateway`: the middleware without an app, served by uvicorn."""

import sys
from typing import Annotated, Literal, NoReturn

import typer

from hydra_asgi.errors import ConfigurationError
from hydra_asgi.hydra import Hydra
from hydra_asgi.options import Options

__all__ = ["gateway"]

LogLevel = Literal["debug", "info", "warning", "error", "critical"]


def gateway(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8000,
    config: Annotated[
        str | None,
        typer.Option(envvar="HYDRA_CONFIG", help="A site file: options, and instances that register nowhere."),
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
        is_public = None if control is None else False
        hydra = Hydra(gateway=True, config=config, public_control=is_public, grace=timeout_graceful)
        _check_workers(workers, hydra.options)
    except ConfigurationError as error:
        _fail(str(error))
    try:
        from hydra_asgi.cli.serving import Serving, serve
    except ModuleNotFoundError as error:
        if error.name != "uvicorn":
            raise
        _fail("hydra-asgi: uvicorn is not installed, run: pip install 'hydra-asgi[cli]'")
    serve(
        hydra,
        Serving(
            host=host,
            port=port,
            control=inner,
            access_log=access_log,
            log_level=log_level,
            grace=hydra.options.grace,
            limit_concurrency=limit_concurrency,
            limit_body=limit_body,
            limit_message=limit_message,
        ),
    )


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"--control is {text[:120]!r}: expected HOST:PORT, such as 127.0.0.1:8001")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _check_workers(workers: int, options: Options) -> None:
    if workers > 1:
        raise ConfigurationError(
            f"--workers is {workers}, but store is {options.store!r}: each worker would have a directory of its own, "
            "and what registers with one would be unknown to the others. Ways out: --workers 1, which serves more than "
            "most sites need; a store that processes share, where this version has one; or, where nothing registers, "
            "several gateways with the same --config, each on a port of its own behind a load balancer"
        )


def _fail(text: str) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise typer.Exit(2)
