"""The answers a node gives itself."""

import json
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.gateway.answers import MAX_SHOWN, answer, shown_path
from tests.exchange import Exchange, http_scope


async def answered(status: int = 503, title: str = "Away", detail: str = "Come back.", **options: Any) -> Exchange:
    result = Exchange()
    options.setdefault("scope", http_scope("/orders"))

    async def send(message: Any) -> None:
        result.messages.append(message)

    await answer(send, status, title, detail, **options)
    return result


def asking_for(*accept: bytes, **changes: Any) -> dict[str, Any]:
    return http_scope("/orders", headers=[(b"accept", value) for value in accept], **changes)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ([], b"text/plain; charset=utf-8"),
        ([b"*/*"], b"text/plain; charset=utf-8"),
        ([b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], b"text/html; charset=utf-8"),
        ([b"application/json"], b"application/problem+json"),
        ([b"application/problem+json; charset=utf-8 ; q=0.5, text/html;q=0.4"], b"application/problem+json"),
        ([b"application/json, text/html"], b"text/html; charset=utf-8"),
        ([b"Text/HTML;Q=1.0"], b"text/html; charset=utf-8"),
        ([b"text/html;q=0"], b"text/plain; charset=utf-8"),
        ([b"image/png", b"application/json;q=nonsense"], b"application/problem+json"),
    ],
)
async def test_the_form_is_what_the_client_accepts(accept: list[bytes], content_type: bytes) -> None:
    """HTML for pages, problem details for JSON clients, plain text for anybody else; quality zero means no."""
    assert (await answered(scope=asking_for(*accept))).header(b"content-type") == content_type


async def test_json_is_a_problem_document() -> None:
    """JSON clients get the members of RFC 9457."""
    result = await answered(scope=asking_for(b"application/json"))
    assert json.loads(result.body) == {"title": "Away", "status": 503, "detail": "Come back.", "path": "/orders"}


async def test_an_answer_is_never_stored_and_has_its_length() -> None:
    """Every answer of ours says no-store and how long it is."""
    result = await answered(404)
    assert result.status == 404
    assert result.header(b"cache-control") == b"no-store"
    assert result.header(b"content-length") == str(len(result.body)).encode()
    assert result.body == b"Away\nCome back.\n/orders\n"
    assert result.complete
    assert result.header(b"retry-after") is None
    assert result.header(b"proxy-status") is None
    assert result.header(b"connection") is None


async def test_head_gets_the_headers_alone() -> None:
    """HEAD is told the length of what GET would be told."""
    result = await answered(scope=asking_for(method="HEAD"))
    assert result.body == b""
    assert result.header(b"content-length") == b"24"


async def test_unavailable_says_when_to_come_back() -> None:
    """A 503 has Retry-After, unless the caller knows better."""
    assert (await answered(503)).all(b"retry-after") == [b"3"]
    assert (await answered(503, headers=[(b"Retry-After", b"9")])).all(b"retry-after") == [b"9"]


async def test_a_failed_instance_is_told_in_proxy_status() -> None:
    """Proxy-Status carries the error type of RFC 9209."""
    result = await answered(504, kind=ErrorKind.FIRST_BYTE_TIMEOUT)
    assert result.header(b"proxy-status") == b"hydra; error=http_response_timeout"


async def test_uncertain_framing_ends_the_connection() -> None:
    """After a framing error nobody knows where the next request begins."""
    assert (await answered(400, close=True)).header(b"connection") == b"close"


async def test_what_a_client_sent_is_shown_harmlessly() -> None:
    """Markup, control characters and endless paths cannot reach into the page or the log."""
    scope = http_scope(raw_path=b"/<script>\x1b[31m" + b"a" * 1000, headers=[(b"accept", b"text/html")])
    result = await answered(404, "<b>", "\r\nx" + "y" * 1000, scope=scope)
    page = result.body.decode()
    assert "<script>" not in page
    assert "<h1>&lt;b&gt;</h1>" in page
    assert "\x1b" not in page
    assert "a" * MAX_SHOWN not in page
    assert "y" * MAX_SHOWN not in page
    assert "\n" not in shown_path(scope)


async def test_a_server_without_raw_paths_still_gets_an_answer() -> None:
    """Without raw_path the decoded path is shown."""
    scope = http_scope("/ä\u202eb")
    scope["raw_path"] = None
    assert shown_path(scope) == "/ä\N{REPLACEMENT CHARACTER}b"
