"""What a core page lends to its fragments: the attributes that they may import."""

import reprlib
from collections.abc import Mapping
from typing import cast

from hydra_asgi.core.binding import Binding, parse_bindings
from hydra_asgi.errors import BindingError, LendingError
from hydra_asgi.service.attributes import scope_of
from hydra_asgi.service.mounted_app import PAGE_ATTRIBUTES
from hydra_asgi.wire.fragments import MAX_DEPTH
from hydra_asgi.wire.strict_json import NotJsonError, dump_json, is_deeper, read_json

__all__ = ["lend", "lendable"]


def lendable(values: Mapping[str, object]) -> dict[str, object]:
    """The values as fragments will see them, wherever they are rendered: as they come back from JSON.

    Raises:
        LendingError: a name is none that a tag can import, or a value has no form in JSON.
    """
    return {_name(name): _value(name, value) for name, value in values.items()}


def lend(request: object, values: Mapping[str, object]) -> None:
    """Let the fragments of a page import values.

    Args:
        request: the page's request, as `attributes_of` takes it.
        values: as `lendable` gave them; a name that was lent before gets the new value.

    Raises:
        LendingError: the request is not one of a page in a mounted app.
        TypeError: it is no request.
    """
    page = scope_of(request, "lend").get(PAGE_ATTRIBUTES)
    if not isinstance(page, dict):
        raise LendingError(
            f"{', '.join(values) or 'nothing'} cannot be lent: this request is not one for a page of an app with "
            "HydraMiddleware around it"
        )
    page.update(values)


def _name(name: str) -> str:
    try:
        is_name = parse_bindings([name]) == (Binding(name, name),)
    except BindingError:
        is_name = False
    if not is_name:
        raise LendingError(
            f"{name[:80]!r} cannot be lent: a name is a letter or '_', then letters, digits and '_', '.', '-'"
        )
    return name


def _value(name: str, value: object) -> object:
    try:
        read = cast("dict[str, object]", read_json(dump_json({name: value})))
    except NotJsonError as error:
        raise LendingError(f"{name} cannot be lent: {error}") from None
    except ValueError as error:
        shown = reprlib.repr(value)[:80]
        raise LendingError(
            f"{name} is {shown}, which JSON has no form for: lend text, numbers, lists and dicts ({error})"
        ) from None
    if is_deeper(read, MAX_DEPTH):
        raise LendingError(f"{name} cannot be lent: it is nested more than {MAX_DEPTH - 1} deep")
    return read[name]
