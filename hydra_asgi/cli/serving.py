"""Runs the gateway under uvicorn: one listener for the public, and one for the control plane where that is wanted."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn

from hydra_asgi.cli.listening import CONTROL, PUBLIC, bind
from hydra_asgi.gateway.body_limit import BodyLimit
from hydra_asgi.hydra import Hydra
from hydra_asgi.middleware import HydraMiddleware

__all__ = ["Listeners", "Serving", "serve"]

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the gateway is served.

    Attributes:
        host: of the public listener.
        port: of the public listener.
        control: host and port of the inner listener; None: there is none.
        access_log: write a line for each request.
        log_level: `debug` to `critical`.
        grace: seconds that requests may go on after the stop.
        limit_concurrency: connections and requests at a time, beyond which the answer is 503; None: no limit.
        limit_body: bytes of a request's body; None: no limit.
        limit_message: bytes of a WebSocket message.
    """

    host: str
    port: int
    control: tuple[str, int] | None
    access_log: bool
    log_level: str
    grace: float
    limit_concurrency: int | None
    limit_body: int | None
    limit_message: int


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets that are bound already, because several processes listen on them; None: they are bound by the server.

    Attributes:
        public: for the public.
        inner: for the control plane.
    """

    public: socket.socket | None = None
    inner: socket.socket | None = None


_OF_ITS_OWN = Listeners()


def _nothing() -> None:
    """Nobody waits to be told."""


def serve(
    hydra: Hydra, serving: Serving, listeners: Listeners = _OF_ITS_OWN, on_started: Callable[[], None] = _nothing
) -> None:
    """Serve until a signal comes and what was begun is done.

    Args:
        hydra: the node.
        serving: how it is served.
        listeners: what to listen on, where that is bound already.
        on_started: called when connections are accepted.

    Raises:
        ConfigurationError: a port cannot be had.
    """
    _check_ports(serving, listeners)
    logging.basicConfig(level=serving.log_level.upper(), format=LOG_FORMAT)
    if not serving.access_log:
        logging.getLogger("hydra_asgi.access").setLevel(logging.WARNING)
    app = HydraMiddleware(None, hydra=hydra)
    limited = app if serving.limit_body is None else BodyLimit(app, serving.limit_body)
    public = _Public(_config(limited, (serving.host, serving.port), serving), on_started)
    inner = None if serving.control is None else _Inner(_config(hydra.control, serving.control, serving))
    # Uvicorn raises the signal that ended it once more when it is done; to us that is the usual end.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with (
        asyncio.Runner(loop_factory=public.config.get_loop_factory()) as runner,
        contextlib.suppress(KeyboardInterrupt),
    ):
        runner.run(_serve(public, inner, listeners))


def _check_ports(serving: Serving, listeners: Listeners) -> None:
    """Before anything starts: uvicorn finds out when everything has, and names neither the option nor the way out."""
    if listeners.public is None:
        bind(serving.host, serving.port, PUBLIC).close()
    if listeners.inner is None and serving.control is not None:
        bind(*serving.control, CONTROL).close()


def _config(app: object, at: tuple[str, int], serving: Serving) -> uvicorn.Config:
    host, port = at
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # asgiref's types are not uvicorn's
        host=host,
        port=port,
        log_config=None,
        log_level=serving.log_level,
        access_log=serving.access_log,
        limit_concurrency=serving.limit_concurrency,
        # The node itself ends what takes longer; this is for what would not even hear that.
        timeout_graceful_shutdown=int(serving.grace) + 2,
        ws_max_size=serving.limit_message,
        # Whom to believe about clients is the option `trusted`.
        proxy_headers=False,
        server_header=False,
        lifespan="on",
    )


async def _serve(public: uvicorn.Server, inner: uvicorn.Server | None, listeners: Listeners) -> None:
    if inner is None:
        await public.serve(_listed(listeners.public))
        return
    # The inner listener goes last: it says "draining" to whoever asks while the public one finishes.
    serving = asyncio.create_task(inner.serve(_listed(listeners.inner)))
    try:
        await public.serve(_listed(listeners.public))
    finally:
        inner.should_exit = True
        await serving


def _listed(bound: socket.socket | None) -> list[socket.socket] | None:
    return None if bound is None else [bound]


class _Public(uvicorn.Server):
    """A server that says when it has started."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


class _Inner(uvicorn.Server):
    """A second server in the loop; signals are the first one's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
