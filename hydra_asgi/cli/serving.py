"""Runs the gateway under uvicorn: one listener for the public, and one for the control plane where that is wanted."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn

from hydra_asgi.gateway.body_limit import BodyLimit
from hydra_asgi.hydra import Hydra
from hydra_asgi.middleware import HydraMiddleware

__all__ = ["Serving", "serve"]

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


def serve(hydra: Hydra, serving: Serving) -> None:
    """Serve until a signal comes and what was begun is done."""
    logging.basicConfig(level=serving.log_level.upper(), format=LOG_FORMAT)
    if not serving.access_log:
        logging.getLogger("hydra_asgi.access").setLevel(logging.WARNING)
    app = HydraMiddleware(None, hydra=hydra)
    limited = app if serving.limit_body is None else BodyLimit(app, serving.limit_body)
    public = uvicorn.Server(_config(limited, (serving.host, serving.port), serving))
    inner = None if serving.control is None else _Inner(_config(hydra.control, serving.control, serving))
    # Uvicorn raises the signal that ended it once more when it is done; to us that is the usual end.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with (
        asyncio.Runner(loop_factory=public.config.get_loop_factory()) as runner,
        contextlib.suppress(KeyboardInterrupt),
    ):
        runner.run(_serve(public, inner))


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


async def _serve(public: uvicorn.Server, inner: uvicorn.Server | None) -> None:
    if inner is None:
        await public.serve()
        return
    # The inner listener goes last: it says "draining" to whoever asks while the public one finishes.
    serving = asyncio.create_task(inner.serve())
    try:
        await public.serve()
    finally:
        inner.should_exit = True
        await serving


class _Inner(uvicorn.Server):
    """A second server in the loop; signals are the first one's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
