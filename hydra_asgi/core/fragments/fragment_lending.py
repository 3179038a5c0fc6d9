"""What a core page lends to one service when it asks for fragments: closed by default, opened by name only."""

from collections.abc import Iterable, Mapping, Sequence

from hydra_asgi.core.fragment import FragmentQuestion, PageContext
from hydra_asgi.core.headers.request_id import REQUEST_ID, read_request_id
from hydra_asgi.core.headers.trace_context import sound_trace

__all__ = ["ALWAYS_LENT", "allowed_names", "lent_attributes", "lent_by_page", "lent_headers"]

ALWAYS_LENT = frozenset({b"accept-language", b"traceparent", b"tracestate", REQUEST_ID})
"""Name nobody and open nothing: the language to render in, the trace context (W3C Trace Context 3.2, 3.3), and the
name of the request for the log."""

# An allow-list cannot lend what frames or routes the fragment's own request.
_NEVER_LENT = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_MAX_VALUE = 8192
"""Longer values are not lent: no cookie a browser stores and no language list comes near."""

HeaderPairs = tuple[tuple[bytes, bytes], ...]


def allowed_names(forward: Mapping[str, Sequence[str]], service: str) -> tuple[str, ...]:
    """The allow-list of one service: what `*` names for every service, then what is named for this one."""
    return (*forward.get("*", ()), *forward.get(service, ()))


def lent_by_page(page: PageContext, allowed: Iterable[str]) -> HeaderPairs:
    """The headers that a page lends to a service.

    One allow-list decides, that of the node which owns the page; who gets them from there takes them as they are.

    Args:
        page: its headers, and whether they were chosen already.
        allowed: the service's allow-list on this node.
    """
    return page.headers if page.is_lent else lent_headers(page.headers, allowed)


def lent_headers(headers: Iterable[tuple[bytes, bytes]], allowed: Iterable[str]) -> HeaderPairs:
    """The headers of a page's request that a service may see.

    Args:
        headers: the page's request headers, lower-case names.
        allowed: header names in any case, and `cookie:NAME` for single cookies.

    Returns:
        The allowed pairs in their order; the allowed cookies as one `cookie` field at the end. A malformed
        `traceparent` is left out and takes `tracestate` with it, so that the fragment starts a new trace; a malformed
        `x-request-id` is left out too.
    """
    names, cookies = _split(allowed)
    pairs = sound_trace([(name, value) for name, value in headers if len(value) <= _MAX_VALUE])
    if not read_request_id(pairs):
        names.discard(REQUEST_ID)
    lent = [(name, value) for name, value in pairs if name in names and not name.startswith(b"hydra-")]
    if b"cookie" not in names and (jar := _cookies(pairs, cookies)):
        lent.append((b"cookie", jar))
    return tuple(lent)


def lent_attributes(questions: Iterable[FragmentQuestion], attributes: Mapping[str, object]) -> Mapping[str, object]:
    """The page's attributes that at least one of the questions imports, under the page's own names.

    A question whose `imports` is None comes from an unmodified Medusa, which shows everything.
    """
    wanted: set[str] = set()
    for question in questions:
        if question.imports is None:
            return attributes
        wanted.update(binding.name for binding in question.imports)
    return {name: value for name, value in attributes.items() if name in wanted}


def _split(allowed: Iterable[str]) -> tuple[set[bytes], set[bytes]]:
    names, cookies = set(ALWAYS_LENT), set()
    for item in allowed:
        kind, colon, cookie = item.partition(":")
        if colon and kind.lower() == "cookie":
            cookies.add(cookie.encode("latin-1", "replace"))
        else:
            names.add(item.lower().encode("latin-1", "replace"))
    return names - _NEVER_LENT, cookies


def _cookies(pairs: Iterable[tuple[bytes, bytes]], wanted: set[bytes]) -> bytes:
    crumbs = (crumb.strip() for name, value in pairs if name == b"cookie" for crumb in value.split(b";"))
    return b"; ".join(crumb for crumb in crumbs if crumb.partition(b"=")[0].strip() in wanted)
