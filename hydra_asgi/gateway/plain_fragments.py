"""Fragments of instances that speak nothing but HTTP: each is fetched by a plain GET of its own.

A GET carries no attributes: what such an instance is told about the page are the headers that its allow-list names.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion
from hydra_asgi.core.headers.header_fields import Fields, field_values, lowered
from hydra_asgi.core.headers.page_headers import fragment_codec
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Timeouts, UpstreamRequest, UpstreamResponse
from hydra_asgi.wire.fragment_answers import MAX_HTML
from hydra_asgi.wire.iterators import closed, merged
from hydra_asgi.wire.peer_failure import PeerFailedError

__all__ = ["Send", "ask_plainly"]

AT_ONCE = 8
"""Requests to one instance at the same time for one page: it may be an old and small one."""

_CODECS = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8"),
    "iso-8859-15": "iso-8859-15",
    # What browsers take Latin-1 for, as the encoding standard wants it.
    **dict.fromkeys(("iso-8859-1", "latin1", "windows-1252", "us-ascii", "ascii"), "cp1252"),
}

Send = Callable[[UpstreamRequest], Awaitable[UpstreamResponse]]


def ask_plainly(
    instance: ServiceInstance,
    questions: Sequence[FragmentQuestion],
    lent: Sequence[tuple[bytes, bytes]],
    send: Send,
    *,
    left: float,
    deadline: float,
) -> AsyncGenerator[FragmentAnswer, None]:
    """Fetch fragments, and answer each as soon as it is there.

    Args:
        instance: who is asked.
        questions: about fragments that it declares.
        lent: the page's headers that it may see.
        send: sends a request to it.
        left: seconds until the deadline.
        deadline: on the clock of the running loop.

    Raises:
        PeerFailedError: while iterating: nothing was answered and one could not be asked, so another instance may be.
    """
    paths = {declaration.ref: declaration.path for declaration in instance.fragments or ()}
    slots = asyncio.Semaphore(AT_ONCE)
    is_begun = False

    async def answer(question: FragmentQuestion) -> AsyncIterator[FragmentAnswer]:
        nonlocal is_begun
        request = _request(instance, paths[question.ref], lent, left)
        try:
            async with asyncio.timeout_at(deadline), slots:
                html = await _fetch(send, request)
        except TimeoutError:
            is_begun = True
            yield _failed(question, FragmentCause.TIMEOUT, "no answer within the budget")
        except PeerFailedError as error:
            if error.untouched and not is_begun:
                raise
            is_begun = True
            yield _failed(question, error.cause, error.detail)
        else:
            is_begun = True
            yield FragmentAnswer(question.id, html)

    return merged([answer(question) for question in questions])


def _request(instance: ServiceInstance, path: str, lent: Sequence[tuple[bytes, bytes]], left: float) -> UpstreamRequest:
    address = instance.address
    fields = [
        (b"host", address.netloc.encode("ascii", "replace")),
        (b"accept", b"text/html"),
        (b"accept-encoding", b"identity"),
        *lent,
    ]
    target = (address.base + path).encode("ascii", "replace")
    # Half of the budget for connecting at most, so that a second instance has a chance.
    timeouts = Timeouts(connect=min(1.0, left / 2), first_byte=left, idle=left)
    return UpstreamRequest(address, "GET", target, fields, timeouts=timeouts)


async def _fetch(send: Send, request: UpstreamRequest) -> str:
    try:
        async with await send(request) as response:
            codec = _codec(response.status, response.headers)
            html = bytearray()
            async with closed(response.body()) as pieces:
                async for piece in pieces:
                    html += piece
                    if len(html) > MAX_HTML:
                        raise UpstreamError(ErrorKind.TOO_LARGE, f"the fragment is larger than {MAX_HTML} bytes")
    except UpstreamError as error:
        raise PeerFailedError.of(error) from None
    return html.decode(codec, "replace")


def _codec(status: int, headers: Fields) -> str:
    """How the text is encoded, when the response is a fragment at all."""
    fields = lowered(headers)
    if 300 <= status < 400:
        raise PeerFailedError(FragmentCause.REDIRECT, f"status {status}, redirects are not followed")
    if status != 200:
        raise PeerFailedError(FragmentCause.STATUS, f"status {status}", status=status)
    kind = b",".join(field_values(fields, b"content-type"))[:100].decode("latin-1")
    charset = kind.lower().partition("charset=")[2].split(";")[0].strip(" \"'") or "utf-8"
    if fragment_codec(fields) is None or charset not in _CODECS:
        raise PeerFailedError(FragmentCause.CONTENT_TYPE, f"content type {kind!r}")
    if any(value.strip().lower() not in {b"", b"identity"} for value in field_values(fields, b"content-encoding")):
        raise PeerFailedError(FragmentCause.BROKEN, "a content coding, although none was asked for")
    return _CODECS[charset]


def _failed(question: FragmentQuestion, cause: FragmentCause, detail: str) -> FragmentAnswer:
    return FragmentAnswer(question.id, None, cause, detail)
