"""A process that works on a store's file as hard as it can: `python -m tests.backends.sqlite_store.hammer FILE NAME N`.

Registers N instances, beats each of them, and asks for the revision in between. Prints one line of JSON at the end:
the tokens it was given, and the counters of the revisions in the order in which it saw them.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from hydra_asgi.backends.sqlite_store import SqliteStore
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.errors import StoreError
from hydra_asgi.ports import LeaseState

T = TypeVar("T")


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """As a node does: what did not work is tried again."""
    while True:
        try:
            return await ask()
        except StoreError:
            await asyncio.sleep(0.01)


async def register(store: SqliteStore, name: str, number: int) -> int:
    """Register one instance; returns its token."""
    instance = ServiceInstance("orders", Address("http", name, 8000 + number), routes=(Route(f"/{name}"),))
    lease = LeaseState(f"{name}-{number}", "orders", name)
    return (await insist(partial(store.register, instance, lease))).token


async def hammer(file: str, name: str, count: int) -> None:
    store = SqliteStore(file)
    tokens: list[int] = []
    seen: list[int] = []
    for number in range(count):
        tokens.append(await register(store, name, number))
        seen.append((await insist(store.revision)).counter)
    for number in range(count):
        if not await insist(partial(store.renew, f"{name}-{number}", "orders", counter=1)):
            # It has lapsed while a slow machine was busy with the others; whoever is told so registers again.
            assert await register(store, name, number) == tokens[number]
        seen.append((await insist(store.revision)).counter)
    await store.close()
    sys.stdout.write(json.dumps({"tokens": tokens, "seen": seen}) + "\n")


if __name__ == "__main__":
    asyncio.run(hammer(sys.argv[1], sys.argv[2], int(sys.argv[3])))
