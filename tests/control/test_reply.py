"""Answers of the control plane."""

import json
from typing import Any

import pytest

from hydra_asgi.control.reply import base_headers, reply, reply_empty, reply_json, reply_refusal
from hydra_asgi.errors import RefusedError
from tests.exchange import Exchange


def sending() -> tuple[Exchange, Any]:
    result = Exchange()

    async def send(message: dict[str, Any]) -> None:
        result.messages.append(message)

    return result, send


@pytest.mark.parametrize("call", [lambda send: reply(send, 200, b"{}"), lambda send: reply_json(send, 200, {}),
                                  lambda send: reply_empty(send, 404)])  # fmt: skip
async def test_never_cached_never_sniffed(call: Any) -> None:
    """Every answer is complete, says its length, and is neither cached nor sniffed."""
    answer, send = sending()
    await call(send)
    assert answer.complete
    assert answer.header(b"content-length") == b"%d" % len(answer.body)
    assert answer.header(b"cache-control") == b"no-store"
    assert answer.header(b"x-content-type-options") == b"nosniff"


async def test_json() -> None:
    """Values are JSON, with further fields where asked for."""
    answer, send = sending()
    await reply_json(send, 200, {"a": 1}, headers=[(b"x", b"y")])
    assert answer.body == b'{"a":1}'
    assert answer.header(b"content-type") == b"application/json"
    assert answer.header(b"x") == b"y"


async def test_empty_has_no_type() -> None:
    """A status alone has no body and no type."""
    answer, send = sending()
    await reply_empty(send, 405, headers=[(b"allow", b"GET")])
    assert (answer.status, answer.body) == (405, b"")
    assert answer.header(b"content-type") is None
    assert answer.header(b"allow") == b"GET"


@pytest.mark.parametrize(("status", "retry"), [(401, None), (429, b"1"), (503, b"1")])
async def test_refusals_tell_reason_and_time(status: int, retry: bytes | None) -> None:
    """A refusal carries its reason and the server's time, and says when to come back where that helps."""
    answer, send = sending()
    await reply_refusal(send, RefusedError(status, "because"), now=1795509470.9)
    assert answer.status == status
    assert json.loads(answer.body) == {"status": status, "reason": "because", "time": 1795509470}
    assert answer.header(b"hydra-time") == b"1795509470"
    assert answer.header(b"retry-after") == retry


def test_headers_of_streams() -> None:
    """Answers that stream start from the same fields, without a length."""
    assert base_headers(b"application/x-ndjson") == [
        (b"content-type", b"application/x-ndjson"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
