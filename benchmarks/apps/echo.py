"""The origin of WebSockets: says what it hears. `python -m benchmarks.apps.echo PORT`."""

import sys

import uvloop
from websockets.asyncio.server import ServerConnection, serve


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def _main(port: int) -> None:
    async with serve(_echo, "127.0.0.1", port, compression=None, ping_interval=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
