"""The values of a core page inside the fragment that imports them.

They travel in the ASGI scope, which no client can write to, never as query parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from hydra_asgi.core.fragment import FragmentQuestion

__all__ = ["ATTRIBUTES", "FragmentRequest", "attributes_of", "imported_attributes", "scope_of"]

ATTRIBUTES = "hydra.attributes"
"""The scope key."""

_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FragmentRequest:
    """What a fragment that is a plain function is called with.

    Attributes:
        ref: the fragment that is asked for.
        attributes: the imported values under the fragment's own names.
        headers: what the core page lends of its request, lower-case names.
        scope: the scope a route of the app would have got.
    """

    ref: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    scope: Mapping[str, Any] = field(default_factory=dict, repr=False)


def imported_attributes(question: FragmentQuestion, attributes: Mapping[str, object]) -> Mapping[str, object]:
    """What a fragment may see, under its own names: its imports, or everything when a Medusa asks (`imports` None).

    A name that the core page does not have is left out, so that the fragment can tell it from None.
    """
    if question.imports is None:
        return MappingProxyType(dict(attributes))
    return MappingProxyType(
        {binding.alias: attributes[binding.name] for binding in question.imports if binding.name in attributes}
    )


def attributes_of(request: object) -> Mapping[str, object]:
    """The imported values of a fragment; empty outside of one.

    Args:
        request: a request of Starlette, FastAPI or Quart, an ASGI scope, or a `FragmentRequest`.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(request, FragmentRequest):
        return request.attributes
    found = scope_of(request, "attributes").get(ATTRIBUTES)
    return found if isinstance(found, Mapping) else _NOTHING


def scope_of(request: object, asker: str) -> Mapping[str, Any]:
    """The ASGI scope behind whatever a handler has at hand.

    Args:
        request: a request of Starlette, FastAPI or Quart, an ASGI scope, or a `FragmentRequest`.
        asker: the public call that wants it, for the message.

    Raises:
        TypeError: it is none of these.
    """
    scope = request if isinstance(request, Mapping) else getattr(request, "scope", None)
    if not isinstance(scope, Mapping):
        raise TypeError(f"{asker}() wants a request or an ASGI scope, not {type(request).__name__}")
    return scope
