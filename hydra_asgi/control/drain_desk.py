"""Lets an operator, or a hook that runs before a process is stopped, take this node out of the site."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from hydra_asgi.control.body import read_body
from hydra_asgi.control.first_use import FirstUse
from hydra_asgi.control.guard import Guard
from hydra_asgi.control.reply import reply_json
from hydra_asgi.errors import RefusedError, StoreError

__all__ = ["DrainDesk"]

BODY_LIMIT = 256


class DrainDesk:
    """Takes the call `POST /h/node/{key}/drain`, whose body is of no account.

    Args:
        guard: who may call; only signed calls count.
        drain: leaves the site; again: does nothing.
        ongoing: how many requests are still served.
        first_use: sees to it that a call counts once in the whole site; None on a node without a store.
    """

    def __init__(
        self,
        guard: Guard,
        drain: Callable[[], Awaitable[None]],
        ongoing: Callable[[], int],
        first_use: FirstUse | None = None,
    ) -> None:
        self._guard = guard
        self._drain = drain
        self._ongoing = ongoing
        self._first_use = first_use

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer when the node has left, with what it is still busy with."""
        assert scope["type"] == "http", scope["type"]  # noqa: S101 - the control plane calls only for HTTP
        body = await read_body(receive, BODY_LIMIT)
        caller = self._guard.admit(scope, body)
        if not caller.signed:
            # Whoever may register without a signature may not send other nodes away.
            raise RefusedError(401, "only a signed call may drain a node; sign it with HYDRA_SECRET")
        if self._first_use is not None:
            # A node has to be able to go while the store is away; this node has seen to it that it is asked once.
            with suppress(StoreError):
                await self._first_use(caller)
        await self._drain()
        await reply_json(send, 200, {"status": "draining", "ongoing": self._ongoing()})
