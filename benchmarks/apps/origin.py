"""The origin where nginx is not installed: bodies from memory, by a bare protocol on httptools. It counts as nginx's
`stub_status` does.

`python -m benchmarks.apps.origin PORT`
"""

import asyncio
import sys
from typing import cast

import httptools
import uvloop

from benchmarks.load import SIZES

_SWALLOWED = b"swallowed\n"


class _Origin(asyncio.Protocol):
    count = 0

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._answers = answers
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_message_complete(self) -> None:
        _Origin.count += 1
        if self._path == b"/count":
            self._transport.write(_answer(b"200 OK", b"server accepts handled requests\n 0 0 %d\n" % _Origin.count))
        else:
            self._transport.write(self._answers.get(self._path, self._answers[b""]))


def _answer(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


async def _main(port: int) -> None:
    answers = {path.encode(): _answer(b"200 OK", b"x" * size) for path, size in SIZES.items()}
    answers |= {b"/sink": _answer(b"200 OK", _SWALLOWED), b"": _answer(b"404 Not Found", b"")}
    server = await asyncio.get_running_loop().create_server(lambda: _Origin(answers), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
