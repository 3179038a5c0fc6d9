"""Stands in the place of the app at a node that is a gateway and nothing else."""

from typing import Any

from hydra_asgi.gateway.answers import answer
from hydra_asgi.gateway.websocket_denial import answer_handshake

__all__ = ["no_app"]

_TITLE = "Not found"
_DETAIL = "There is no such page on this site."


async def no_app(scope: Any, receive: Any, send: Any) -> None:
    """Answer that there is nothing, whatever is asked for; with lifespan it has nothing to do."""
    if scope["type"] == "http":
        await answer(send, 404, _TITLE, _DETAIL, scope=scope)
    elif scope["type"] == "websocket":
        await answer_handshake(scope, send, 404, _TITLE, _DETAIL)
