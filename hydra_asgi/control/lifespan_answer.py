"""The lifespan of an app that has nothing to start."""

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

__all__ = ["answer_lifespan"]


async def answer_lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Say that all is done, at the start and at the end."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
