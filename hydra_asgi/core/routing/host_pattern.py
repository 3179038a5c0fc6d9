"""The host of a route: a name, or a pattern such as `{tenant}.example.org`.

A host is matched label by label from the right, like a path from the left, so that both use the same tree. A parameter
on the far left takes one or more labels, as it does in Starlette; any other takes one.
"""

import re

from hydra_asgi.core.routing.template import Segment, SegmentKind
from hydra_asgi.errors import TemplateError

__all__ = ["host_labels", "parse_host_pattern"]

MAX_HOST = 253
"""RFC 1035 section 2.3.4, without the final dot."""

_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
_ADDRESS = re.compile(r"\[[0-9a-f:.]+\]")
_PORT = re.compile(r":[0-9]*$")


def parse_host_pattern(text: str) -> tuple[Segment, ...]:
    """Read a host name or pattern into labels, the last label first. Case and port make no difference.

    Raises:
        TemplateError: a label is neither a name nor a parameter.
    """
    if len(text) > MAX_HOST:
        raise TemplateError(f"host {text[:80]!r} has {len(text)} characters, at most {MAX_HOST} are allowed")
    labels = _labels(text)
    last = len(labels) - 1
    return tuple(_parse_label(text, label, index == last) for index, label in enumerate(labels))


def _parse_label(text: str, label: str, is_leftmost: bool) -> Segment:
    if _PARAMETER.fullmatch(label):
        return Segment(SegmentKind.REST if is_leftmost else SegmentKind.PARAMETER, label[1:-1])
    if _LABEL.fullmatch(label) or _ADDRESS.fullmatch(label):
        return Segment(SegmentKind.LITERAL, label)
    raise TemplateError(
        f"host {text[:80]!r}: {label[:80]!r} is neither a name nor a parameter such as '{{tenant}}.example.org'"
    )


def host_labels(host: str) -> tuple[str, ...]:
    """The labels of a request's host, the last one first. An IPv6 address is one label.

    Empty for no host, and for one that is too long to be a name and a port.
    """
    return tuple(_labels(host)) if 0 < len(host) <= MAX_HOST + len(".:65535") else ()


def _labels(host: str) -> list[str]:
    name = _PORT.sub("", host).removesuffix(".")
    if name.startswith("["):
        return [name.lower()]
    return [label if label.startswith("{") else label.lower() for label in reversed(name.split("."))]
