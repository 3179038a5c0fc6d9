"""The answers a node gives itself when no app of the site can: small, honest, and readable by whoever asked."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from asgiref.typing import ASGISendCallable

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.headers.header_fields import field_values, lowered

__all__ = ["RETRY_AFTER_SECONDS", "answer", "shown_path"]

RETRY_AFTER_SECONDS = 3
"""The beat interval: whoever comes back is announced within it."""

MAX_SHOWN = 200
"""Enough of a path to recognise it, too little to fill a page or a log with it."""

_QUALITY = re.compile(rb"q\s*=\s*([01](?:\.[0-9]{0,3})?)$")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem; }}
h1 {{ font-size: 1.5rem; margin: 0 0 .5rem; }}
p {{ margin: 0 0 1rem; }}
code {{ overflow-wrap: anywhere; opacity: .75; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{detail}</p>
<p><code>{path}</code></p>
</main>
</body>
</html>
"""


async def answer(
    send: ASGISendCallable,
    status: int,
    title: str,
    detail: str,
    *,
    scope: Mapping[str, Any],
    headers: Sequence[tuple[bytes, bytes]] = (),
    kind: ErrorKind | None = None,
    close: bool = False,
) -> None:
    """Send a whole response that says what is wrong.

    HTML for whoever accepts HTML, problem details (RFC 9457) for whoever accepts JSON, else plain text; never stored by
    a cache. Text is escaped and cut here, so it may name what a client sent, but never an internal address.

    Args:
        send: the request's channel.
        status: the HTTP status, 400 to 599.
        title: a few words.
        detail: one sentence on what happened and what to do.
        scope: the request, for its path, method and `Accept`.
        headers: sent on top; a `retry-after` replaces ours.
        kind: how asking an instance failed, for `Proxy-Status` (RFC 9209).
        close: the request's framing is uncertain, so the connection must not be used again.
    """
    content_type, body = _body(status, _printable(title), _printable(detail), scope)
    fields = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]
    if kind is not None:
        fields.append((b"proxy-status", b"hydra; error=" + OUTCOMES[kind].proxy_status.encode()))
    if status == 503 and not field_values(lowered(fields), b"retry-after"):
        fields.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    if close:
        fields.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": fields, "trailers": False})
    shown = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": shown, "more_body": False})


def shown_path(scope: Mapping[str, Any]) -> str:
    """The request's path as it may be shown or logged: as it was sent, printable, cut, without its query."""
    raw = scope.get("raw_path")
    return _printable(scope["path"] if raw is None else raw.decode("latin-1"))


def _printable(text: str) -> str:
    cut = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
    if cut.isprintable():
        return cut
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut)


def _body(status: int, title: str, detail: str, scope: Mapping[str, Any]) -> tuple[bytes, bytes]:
    path = shown_path(scope)
    match _wanted(field_values(scope["headers"], b"accept")):
        case "html":
            page = _PAGE.format(title=html.escape(title), detail=html.escape(detail), path=html.escape(path))
            return b"text/html; charset=utf-8", page.encode()
        case "json":
            problem = {"title": title, "status": status, "detail": detail, "path": path}
            return b"application/problem+json", json.dumps(problem).encode()
        case _:
            return b"text/plain; charset=utf-8", f"{title}\n{detail}\n{path}\n".encode()


def _wanted(accepted: Sequence[bytes]) -> str:
    """`html`, `json` or `text`: what `Accept` names with the highest quality; wildcards name nothing."""
    best, wanted = 0.0, "text"
    for media_range in b",".join(accepted).lower().split(b","):
        media_type, *parameters = (part.strip() for part in media_range.split(b";"))
        form = _FORMS.get(media_type)
        quality = _quality(parameters)
        if form is not None and (quality > best or (quality == best > 0 and form == "html")):
            best, wanted = quality, form
    return wanted


_FORMS = {
    b"text/html": "html",
    b"application/xhtml+xml": "html",
    b"application/json": "json",
    b"application/problem+json": "json",
}


def _quality(parameters: Sequence[bytes]) -> float:
    for parameter in parameters:
        if found := _QUALITY.match(parameter):
            return float(found[1])
    return 1.0
