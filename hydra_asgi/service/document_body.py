"""Takes the inside of `<body>` out of a whole document, as text: nothing is parsed into a tree or re-serialised."""

import re

from hydra_asgi.core.patterns import many

__all__ = ["body_of"]

_DOCUMENT = re.compile(many(rf"\s|<!--{many('(?!-->).')}-->") + r"<(?:!doctype\b|html[\s>])", re.IGNORECASE | re.DOTALL)
# What may hold the letters "<body" before the tag itself, and the start of the tag.
_HEAD = re.compile(r"<(?:(!)--|(script|style|title|template|noscript)(?=[\s/>])|(body)(?=[\s/>]))", re.IGNORECASE)
_REST_OF_TAG = re.compile(many(r"[^>\"']|\"[^\"]*+\"|'[^']*+'") + ">")
_END = re.compile(r"</body\s*+>", re.IGNORECASE)


def body_of(html: str) -> str:
    """What stands between `<body>` and the last `</body>`; the text itself when it is no whole document.

    A document whose author left out the start tag stays as it is: where its body starts is for a parser to say.
    """
    if _DOCUMENT.match(html) is None:
        return html
    start = _after_start_tag(html)
    if start is None:
        return html
    ends = [found.start() for found in _END.finditer(html, start)]
    return html[start : ends[-1]] if ends else html[start:]


def _after_start_tag(html: str) -> int | None:
    position = 0
    while (found := _HEAD.search(html, position)) is not None:
        is_comment, raw, _ = found.groups()
        if not (is_comment or raw):
            rest = _REST_OF_TAG.match(html, found.end())
            return None if rest is None else rest.end()
        end = re.compile("-->" if is_comment else f"</{raw}", re.IGNORECASE).search(html, found.end())
        if end is None:  # unclosed: everything that follows is inside it
            return None
        position = end.end()
    return None
