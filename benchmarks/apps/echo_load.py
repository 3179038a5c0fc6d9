"""The load for WebSockets: each connection says 1 KB, waits for the echo, says it again; prints what it saw as JSON.

`python -m benchmarks.apps.echo_load PORT PATH CONNECTIONS SECONDS`
"""

import asyncio
import json
import sys
import time

import uvloop
from websockets.asyncio.client import connect

_MESSAGE = b"x" * 1024


async def _talk(url: str, until: float) -> tuple[int, int]:
    """Echoes, and those that were none."""
    echoes = errors = 0
    async with connect(url, compression=None, ping_interval=None, proxy=None) as connection:
        while time.monotonic() < until:
            await connection.send(_MESSAGE)
            errors += await connection.recv() != _MESSAGE
            echoes += 1
    return echoes, errors


async def _main(url: str, connections: int, seconds: float) -> None:
    start = time.monotonic()
    talks = await asyncio.gather(*(_talk(url, start + seconds) for _ in range(connections)))
    echoes, errors = (sum(column) for column in zip(*talks, strict=True))
    sys.stdout.write(json.dumps({"requests": echoes, "p50": 0.0, "p99": 0.0, "errors": errors}))


if __name__ == "__main__":
    port, path, count, length = sys.argv[1:]
    uvloop.run(_main(f"ws://127.0.0.1:{port}{path}", int(count), float(length)))
