"""What a `<m:fragment ...>` start tag says: which fragment of which service, and under which conditions.

The attributes are read as a browser reads them (HTML Standard 13.2.5.32 to 13.2.5.39): names in any case, values in
either quote or bare, the first of two equal names wins, character references are decoded. A tag that cannot be used
is still a value: its `problem` says why, and the page shows the tag's body.
"""

import html
import re
from dataclasses import dataclass
from functools import lru_cache

from hydra_asgi.core.binding import Binding, parse_bindings
from hydra_asgi.core.patterns import at_most_one
from hydra_asgi.errors import BindingError

__all__ = ["MAX_ATTRIBUTES", "FragmentTag", "parse_fragment_tag"]

MAX_ATTRIBUTES = 64
"""A tag has five attributes that mean something; more than this is an attack, not a page."""

_ATTRIBUTE = re.compile(
    rb"(?P<name>[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+)"
    + at_most_one(
        r"[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>[^ \t\n\f\r>]*+))"
    ).encode()
)
_SERVICE = re.compile(r"[A-Za-z][A-Za-z0-9._~-]{0,62}")
_REF = re.compile(r"[A-Za-z0-9._~:/-]{1,128}")
_TIMEOUT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s)?", re.ASCII)
_MAX_SHOWN = 80


@dataclass(frozen=True, slots=True)
class FragmentTag:
    """One start tag, understood.

    Attributes:
        service: who renders the fragment; `""` is the app that owns the page (no `service`, or `self`).
        ref: which of its fragments.
        imports: what the fragment may see of the core page.
        exports: what the fragment gives to the core page.
        timeout: how long this fragment may take, in seconds; None leaves it to the page's budget.
        problem: why the tag cannot be used; None when it can.
        warnings: what its author should hear about, though the tag works.
    """

    service: str
    ref: str
    imports: tuple[Binding, ...] = ()
    exports: tuple[Binding, ...] = ()
    timeout: float | None = None
    problem: str | None = None
    warnings: tuple[str, ...] = ()


class _UnusableError(ValueError):
    """The tag cannot be used; the text says why."""


@lru_cache(maxsize=256)  # a site's templates hold few different tags, and every page shows them again
def parse_fragment_tag(attributes: bytes) -> FragmentTag:
    """Read the bytes between the tag's name and its `>`; never raises.

    `service` and `ref` name the fragment, `imports` and `exports` are lists (CONTRACT.md 2.7), `timeout` is `500ms`,
    `0.5s` or a bare number of milliseconds. Attributes with other names are ignored.
    """
    warnings: list[str] = []
    service = ref = ""
    try:
        values = _read(attributes, warnings)
        service = _service(values.get("service", ""))
        ref = _ref(values.get("ref"))
        return FragmentTag(
            service=service,
            ref=ref,
            imports=_bindings("imports", values),
            exports=_bindings("exports", values),
            timeout=_timeout(values.get("timeout")),
            warnings=tuple(warnings),
        )
    except _UnusableError as error:
        return FragmentTag(service, ref, problem=str(error), warnings=tuple(warnings))


def _read(attributes: bytes, warnings: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for count, found in enumerate(_ATTRIBUTE.finditer(attributes), 1):
        if count > MAX_ATTRIBUTES:
            raise _UnusableError(f"the tag has more than {MAX_ATTRIBUTES} attributes")
        name = _text(found["name"]).lower()
        if name in values:
            warnings.append(f"attribute {_shown(name)} appears twice, the first one counts")
            continue
        bare = found["bare"]
        if bare is not None and bare.endswith(b"/"):
            # HTML Standard 13.2.5.38: a solidus in an unquoted value belongs to the value, it does not close the tag.
            warnings.append(f"the unquoted value of {_shown(name)} ends with '/': put it in quotes")
        raw = next((value for value in (found["double"], found["single"], bare) if value is not None), b"")
        values[name] = html.unescape(_text(raw)) if b"&" in raw else _text(raw)
    return values


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _shown(value: str) -> str:
    return repr(value[:_MAX_SHOWN])


def _service(value: str) -> str:
    name = value.strip()
    if name in ("", "self"):
        return ""
    if _SERVICE.fullmatch(name) is None:
        raise _UnusableError(f"service {_shown(name)} is not a service name: a letter, then letters, digits or '._~-'")
    return name


def _ref(value: str | None) -> str:
    if value is None or not value.strip():
        raise _UnusableError("the tag has no ref: say which fragment it stands for")
    ref = value.strip()
    if _REF.fullmatch(ref) is None:
        raise _UnusableError(f"ref {_shown(ref)} is not a fragment's name: 1 to 128 of letters, digits and '._~:/-'")
    return ref


def _bindings(name: str, values: dict[str, str]) -> tuple[Binding, ...]:
    if name not in values:
        return ()
    try:
        return parse_bindings(values[name])
    except BindingError as error:
        raise _UnusableError(f"{name}: {error}") from None


def _timeout(value: str | None) -> float | None:
    if value is None:
        return None
    found = _TIMEOUT.fullmatch(value.strip())
    seconds = 0.0 if found is None else float(found[1]) * (1.0 if found[2] == "s" else 0.001)
    if seconds <= 0:
        raise _UnusableError(f"timeout {_shown(value)} is not a time: write '500ms', '0.5s' or '500'")
    return seconds
