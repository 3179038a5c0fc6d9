"""The servers that the tests of this folder use, and stores on them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from hydra_asgi.backends.redis_store import RedisStore, open_redis_store
from hydra_asgi.backends.redis_store.scripts import key_of
from tests.backends.store_rig import StoreRig
from tests.faults.redis_server import RedisServer, redis_binary, valkey_binary

__all__ = ["BINARIES", "a_server", "a_store", "fresh_namespace", "hurried_rig", "let_pass", "name_of"]

BINARIES: dict[str, Callable[[], str]] = {"redis": redis_binary, "valkey": valkey_binary}

STEP_SECONDS = 0.5

_numbers = itertools.count(1)


@contextmanager
def a_server(folder: Path, kind: str = "redis", **options: str) -> Iterator[RedisServer]:
    """A server of its own, with options of `redis.conf`."""
    with RedisServer(folder, binary=BINARIES[kind](), options=options) as server:
        yield server


def fresh_namespace() -> str:
    """The query of a URL that nobody has used before, with patience for a slow machine."""
    return f"namespace=test{next(_numbers)}&timeout=5"


@asynccontextmanager
async def a_store(
    server: RedisServer | str, query: str | None = None, on_alarm: Callable[[str], None] | None = None
) -> AsyncIterator[RedisStore]:
    """A store on a server, or of a URL, that is closed at the end."""
    url = server if isinstance(server, str) else f"{server.url}?{query or fresh_namespace()}"
    # In a thread: certificates that a URL names are looked for.
    store = await asyncio.to_thread(open_redis_store, url, on_alarm=on_alarm)
    try:
        yield store
    finally:
        await store.close()


def name_of(store: RedisStore, name: str) -> str:
    """A key of a store, in full."""
    return key_of(store.target.namespace, name)


async def let_pass(server: RedisServer, store: RedisStore, seconds: float, *, watched: bool = True) -> None:
    """Let time pass for one namespace: what its clock has seen last, and nonces, are moved into the past.

    Args:
        server: where it is.
        store: asked for its revision every half second of that time.
        seconds: how many.
        watched: False: nobody looks meanwhile.
    """
    meta = name_of(store, "META")
    left = seconds
    while left > 0:
        step = min(STEP_SECONDS, left) if watched else left
        left -= step
        await asyncio.to_thread(_move_back, server, meta, step)
        if watched:
            await store.revision()


def _move_back(server: RedisServer, meta: str, seconds: float) -> None:
    if server.ask("EXISTS", meta):
        server.ask("HINCRBY", meta, "seen", -round(seconds * 1000))
    nonces = server.ask("KEYS", meta.replace("{", "\\{").removesuffix("meta") + "nonce:*")
    assert isinstance(nonces, list)
    for nonce in nonces:
        assert isinstance(nonce, bytes)
        left = server.ask("PTTL", nonce)
        assert isinstance(left, int)
        server.ask("PEXPIRE", nonce, left - round(seconds * 1000))


def hurried_rig(server: RedisServer, store: RedisStore) -> StoreRig:
    """A store for which time passes as fast as it can be told so."""

    async def advance(seconds: float) -> None:
        await let_pass(server, store, seconds)
        await asyncio.sleep(0.1)  # what was published is heard by now

    return StoreRig(store, advance)
