"""What has to be changed in the HTML that an unmodified Medusa renders before it fits into a page elsewhere.

Both changes are textual, on purpose: a fragment is somebody else's markup and is never parsed into a tree.
"""

import re
from collections.abc import Container

__all__ = ["prefix_assets", "strip_placeholders"]

_PLACEHOLDER = re.compile(r"\$#FRGM-[A-Za-z0-9+]{60}")
"""What Medusa leaves in its HTML for a fragment inside a fragment: it resolves none (CONTRACT.md 2.1, 2.5)."""

# The value is bounded so that a page full of unclosed quotes stays linear. What stands before the name keeps
# `data-src` and `xlink:href` out.
_ASSET = re.compile(r"""(?<=[\s"'/])((?:src|href)\s{0,8}=\s{0,8})(["'])/?([^"'<>]{1,1024})\2""", re.IGNORECASE)


def strip_placeholders(html: str) -> str:
    """Remove the placeholders of nested fragments, which nobody would ever fill."""
    return _PLACEHOLDER.sub("", html) if "$#FRGM-" in html else html


def prefix_assets(html: str, token: int, resources: Container[str]) -> str:
    """Point `src` and `href` at the instance that rendered them (CONTRACT.md section 6, row 30).

    Args:
        html: the fragment.
        token: the rendering instance's name inside URLs.
        resources: its static files; only a value that equals one of them, with or without one leading slash, is
            changed to `/{token}/{resource}`. Folders (`css/`) are not files.
    """

    def prefixed(found: re.Match[str]) -> str:
        name, quote, value = found.groups()
        if value not in resources or value.endswith("/"):
            return found[0]
        return f"{name}{quote}/{token}/{value}{quote}"

    return _ASSET.sub(prefixed, html)
