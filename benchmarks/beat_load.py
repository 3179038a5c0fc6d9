"""Beats as nodes send them to Redis, with less work for the sender than a library makes of them.

The bytes are those of the store: its script, its words, one command at a time on each connection. So thousands of
instances can be played by one process, and what Redis does for each is the same.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from hydra_asgi.backends.redis_store import scripts
from hydra_asgi.core.directory.lease_times import BEAT_SECONDS

__all__ = ["Beats", "Lease", "packed"]

CONNECTIONS = 16

Lease = tuple[str, str]
"""The name of a lease, and the service whose it is."""


class Beats:
    """Connections that beat.

    Args:
        lines: to Redis.
        namespace: whose directory.
    """

    def __init__(self, lines: Sequence[tuple[asyncio.StreamReader, asyncio.StreamWriter]], namespace: str) -> None:
        self._lines = lines
        self._namespace = namespace

    @classmethod
    @asynccontextmanager
    async def opened(cls, port: int, namespace: str = "hydra") -> AsyncIterator["Beats"]:
        """Connect to the server at a port of loopback."""
        lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
        try:
            yield cls(lines, namespace)
        finally:
            for _, writer in lines:
                writer.close()

    async def once(self, leases: Iterable[Lease]) -> int:
        """One beat for each, as fast as it goes; returns how many the store knew."""
        left = iter(leases)

        async def work(line: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> int:
            return sum([await self._beat(line, lease) for lease in left])

        return sum(await asyncio.gather(*map(work, self._lines)))

    async def steadily(self, leases: Sequence[Lease], seconds: float) -> int:
        """Let every one beat in its time, as far as it goes; returns how many beats there were."""
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), BEAT_SECONDS / max(1, len(leases))
        turns = zip(itertools.count(), itertools.cycle(leases), strict=False)

        async def work(line: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> int:
            done = 0
            for number, lease in turns:
                if number * pause >= seconds or loop.time() - began >= seconds:
                    break
                await asyncio.sleep(began + number * pause - loop.time())
                await self._beat(line, lease)
                done += 1
            return done

        done = sum(await asyncio.gather(*map(work, self._lines)))
        await asyncio.sleep(began + seconds - loop.time())
        return done

    async def _beat(self, line: tuple[asyncio.StreamReader, asyncio.StreamWriter], lease: Lease) -> bool:
        reader, writer = line
        script = scripts.RENEW
        writer.write(packed("EVALSHA", script.sha, *script.call(self._namespace, (*lease, 0))))
        return await reader.readline() == b":1\r\n"


def packed(*words: str | bytes | int) -> bytes:
    """A command as it travels (the Redis serialization protocol)."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join((b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)))
