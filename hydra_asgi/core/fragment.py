"""What is asked for when a page holds a fragment, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hydra_asgi.core.binding import Binding

__all__ = ["FragmentAnswer", "FragmentCause", "FragmentQuestion", "PageContext"]


class FragmentCause(StrEnum):
    """Why a fragment was not rendered; a closed list, used in logs and metrics."""

    UNKNOWN_SERVICE = "unknown-service"
    UNKNOWN_REF = "unknown-ref"
    UNAVAILABLE = "unavailable"
    REFUSED = "connect-refused"
    TIMEOUT = "timeout"
    STATUS = "status"
    REDIRECT = "redirect"
    CONTENT_TYPE = "content-type"
    TOO_LARGE = "too-large"
    BROKEN = "broken-answer"
    FAILED = "failed"
    BAD_TAG = "bad-tag"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class FragmentQuestion:
    """One fragment of a page, as it is asked for.

    Attributes:
        id: names the question within its request; the answer repeats it.
        service: who renders it.
        ref: which of its fragments.
        imports: names of the core page that the fragment may see; None when the asker is an unmodified Medusa, which
            shows all attributes.
        exports: names the fragment gives to the core page.
        fallback: the tag's body where it is known already; only carried for peers that want it.
    """

    id: str
    service: str
    ref: str
    imports: tuple[Binding, ...] | None = ()
    exports: tuple[Binding, ...] = ()
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class FragmentAnswer:
    """The answer to one question.

    Attributes:
        id: the question's id.
        html: the rendered HTML; None means "show the fallback".
        cause: why `html` is None.
        detail: what happened, for the log.
        version: of the instance that was asked, where one is known; only to say so where answers are observed.
    """

    id: str
    html: str | None
    cause: FragmentCause | None = None
    detail: str = ""
    version: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PageContext:
    """What a core page lends to the fragments it asks for.

    Attributes:
        deadline: when the last answer is worth having, on the clock of the running loop, in seconds.
        headers: the headers of the page's request, lower-case names; each service gets only what its allow-list names.
        attributes: the core page's attributes that may be imported.
        key: the weight key of the user, "" if none was needed.
        depth: how many fragments deep we are already; 0 for a page.
        origin: `scheme://host` under which the visitor sees the page, for absolute links in its fragments; "" when it
            is not known.
        is_lent: a node of ours chose the headers already, so they are not put through an allow-list again.
    """

    deadline: float
    headers: tuple[tuple[bytes, bytes], ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)
    key: str = ""
    depth: int = 0
    origin: str = ""
    is_lent: bool = False
