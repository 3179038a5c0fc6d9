"""Connections to Redis: bounded in number and in time, given up after trouble, made again by the next call."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.client import PubSub

from hydra_asgi.backends.redis_store.clients import Client, open_client, open_sentinel
from hydra_asgi.backends.redis_store.scripts import Script
from hydra_asgi.backends.redis_store.target import RedisTarget
from hydra_asgi.backends.redis_store.trouble import FOREIGN, has_way_out, leads_astray, store_error

__all__ = ["Link"]

MAX_CONNECTIONS = 16
"""Of one node. Redis works on one command at a time, so more would only wait there."""

TRIES_SECONDS = 1.6
"""Times the timeout: how long a call may take with waiting for a connection, making it and asking. With the default
that is 0.4 s, so that a control call fails within half a second."""

Word = str | bytes | int
T = TypeVar("T")


class Link:
    """The way to one server, master or cluster. Opens with the first call, in the loop of that call.

    Args:
        target: where to.
    """

    def __init__(self, target: RedisTarget) -> None:
        self.target = target
        self._client: Client | None = None
        self._sentinel: Sentinel | None = None
        # Not a blocking pool: there is none for Sentinels. Whoever finds no free connection waits here.
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)

    async def run(
        self, script: Script, *arguments: Word, again: bool = False, patience: float = TRIES_SECONDS
    ) -> Any:  # its answer has the shape that the script gives it
        """Run a script.

        Args:
            script: which one.
            arguments: its `ARGV`.
            again: whether it may run twice, when the first answer was lost.
            patience: how many timeouts it may take.

        Raises:
            StoreError: it could not be run, or the answer was lost.
            exceptions.ResponseError: a key holds something else (WRONGTYPE).
        """
        words = script.call(self.target.namespace, arguments)
        try:
            return await self.ask("EVALSHA", script.sha, *words, again=again, patience=patience)
        except exceptions.NoScriptError:
            return await self.ask("EVAL", script.source, *words, again=again, patience=patience)

    async def ask(self, *command: Word, again: bool = False, patience: float = TRIES_SECONDS) -> Any:
        """Send one command.

        Raises:
            StoreError: it was not done, or the answer was lost.
            exceptions.ResponseError: NOSCRIPT or WRONGTYPE, for which there is a way out.
        """
        try:
            async with asyncio.timeout(self.target.timeout * patience), self._free:
                try:
                    return await self._client_now().execute_command(*command)
                except exceptions.ConnectionError:
                    # A connection that was cut while it was idle; a server that restarts. Never after a timeout.
                    if not again:
                        raise
                    await self._give_up()
                    return await self._client_now().execute_command(*command)
        except FOREIGN as error:
            if has_way_out(error):
                raise
            if leads_astray(error):
                await self._give_up()
            raise store_error(error, self.target) from error

    async def memory_policy(self) -> str:
        """What the server throws away when its memory is full; empty when it does not say.

        Raises:
            StoreError: it could not be asked.
        """
        answer = await self.ask("INFO", "memory")
        policy: str = answer.get("maxmemory_policy", "")
        return policy

    async def listen(self, channel: str) -> PubSub:
        """Subscribe to a channel, on a connection of its own.

        Raises:
            StoreError: it could not be done.
        """
        try:
            async with asyncio.timeout(self.target.timeout * TRIES_SECONDS):
                client = self._client_now()
                if isinstance(client, RedisCluster):
                    await client.initialize()
                listener: PubSub = client.pubsub()
                try:
                    await listener.subscribe(channel)
                except BaseException:
                    await listener.aclose()  # type: ignore[no-untyped-call]  # untyped there
                    raise
                return listener
        except FOREIGN as error:
            raise store_error(error, self.target) from error

    async def hear(self, listening: Callable[[], Awaitable[T]]) -> T:
        """Call a method of a subscription.

        Raises:
            StoreError: its connection is lost.
        """
        try:
            return await listening()
        except FOREIGN as error:
            raise store_error(error, self.target) from error

    async def close(self) -> None:
        """Close every connection. The next call opens new ones, in whichever loop it is made."""
        client, self._client = self._client, None
        sentinel, self._sentinel = self._sentinel, None
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        with contextlib.suppress(*FOREIGN):
            if client is not None:
                await client.aclose()
        with contextlib.suppress(*FOREIGN):
            if sentinel is not None:
                await sentinel.aclose()

    async def _give_up(self) -> None:
        """Close connections that wait for work: they lead to where the trouble is. Names are looked up anew."""
        with contextlib.suppress(*FOREIGN):
            if isinstance(self._client, Redis):
                await self._client.connection_pool.disconnect(inuse_connections=False)

    def _client_now(self) -> Client:
        if self._client is None:
            self._sentinel = open_sentinel(self.target)
            # One more for the subscription.
            self._client = open_client(self.target, self._sentinel, MAX_CONNECTIONS + 1)
        return self._client
