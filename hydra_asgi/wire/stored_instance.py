"""One announced instance as a document in a shared store.

What the store itself adds when it lists an instance (token, order, state) is no part of it. The limits are those of a
registration over HTTP, or wider: what a gateway took can be written, and what comes back cannot hurt the route table.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

from hydra_asgi.core.binding import MAX_BINDINGS, parse_bindings
from hydra_asgi.core.instance import (
    Address,
    Dialect,
    FragmentDeclaration,
    MenuItem,
    Route,
    RouteKind,
    ServiceInstance,
)
from hydra_asgi.core.routing.host_pattern import parse_host_pattern
from hydra_asgi.core.routing.template import parse_template
from hydra_asgi.core.service_name import check_service_name
from hydra_asgi.wire.stored_document import Fields, StoredDocumentError, dump_document, read_document

__all__ = ["content_digest", "dump_instance", "instance_fields", "parse_instance", "read_instance"]

MAX_ROUTES = 5_000
MAX_METHODS = 32
MAX_RESOURCES = 10_000
MAX_FRAGMENTS = 2_000
MAX_MENU_ITEMS = 2_000
MAX_WEIGHT = 1_000_000.0
"""As for a registration: sums of shares have to stay exact."""

_SCHEMES = {"http": "http", "https": "https"}
_KINDS = {kind.value: kind for kind in RouteKind}
_DIALECTS = {dialect.value: dialect for dialect in Dialect}
_HOST = re.compile(r"[A-Za-z0-9_.:%-]+")
_BASE = re.compile(r"(?:/[\x21\x22\x24-\x3e\x40-\x5b\x5d-\x7e]*)?")  # no `?`, `#` or `\`
_METHOD = re.compile(r"[A-Z0-9!$&'*+.^_`|~%-]+")
_REF = re.compile(r"[A-Za-z0-9._~:/-]+")
_PATH = re.compile(r"(?:/[\x21\x22\x24-\x7e]*)?")
_RESOURCE = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
# One slash: `//host` would lead away from the site.
_ENDPOINT = re.compile(r"/(?:[^/\\\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f\\]*)?")


def dump_instance(instance: ServiceInstance) -> bytes:
    """Write what an instance announces. Equal announcements are equal bytes.

    Raises:
        StoredDocumentError: it is not an instance that could be read again; names the field.
    """
    entry = _entry(instance)
    body = dump_document(instance_fields(instance), entry)
    # Whatever is accepted here has to be accepted by every node that reads it.
    if parse_instance(body, entry) != replace(instance, token=0, order=0, active=True):
        raise StoredDocumentError(entry, "it would be read as another instance than the one that was written")
    return body


def parse_instance(body: bytes, entry: str) -> ServiceInstance:
    """Read an instance, without token, order and state.

    Args:
        body: a document that anybody may have written.
        entry: its name in the store, for the message.

    Raises:
        StoredDocumentError: it cannot be used.
    """
    return read_document(body, entry, read_instance)


def content_digest(instance: ServiceInstance) -> str:
    """Names what an instance announces: equal for announcements that are no news to each other.

    Two workers behind one address started at different times, so `active_since` does not count. The pinned address
    does, although it is no part of the identity: connections go there.

    Returns:
        32 hexadecimal digits.
    """
    body = dump_document(instance_fields(replace(instance, active_since=0)), _entry(instance))
    return sha256(body).hexdigest()[:32]


def instance_fields(instance: ServiceInstance) -> dict[str, object]:
    """What is written of an instance; what is empty, and defaults that would come by the thousand, are left out."""
    address = instance.address
    place = {"scheme": address.scheme, "host": address.host, "port": address.port}
    fields: dict[str, object] = {
        "service": instance.service,
        "address": place | _given({"base": address.base, "pinned": address.pinned}),
        "version": instance.version,
        "weight": float(instance.weight) + 0.0,  # one form of zero
        "active_since": instance.active_since,
        "dialect": instance.dialect.value,
    }
    fields |= _given(
        {
            "routes": [*map(_route_fields, instance.routes)],
            "resources": sorted(instance.resources),
            "menu_items": _menu_fields(instance.menu_items),
            "compose": instance.compose,
        }
    )
    if instance.fragments is not None:
        fields["fragments"] = [*map(_fragment_fields, instance.fragments)]
    return fields


def read_instance(fields: Fields) -> ServiceInstance:
    """Make an instance of the fields of a document."""
    return ServiceInstance(
        service=check_service_name(fields.text("service")),
        address=fields.inner("address", _address),
        version=fields.integer("version"),
        weight=fields.number("weight", MAX_WEIGHT),
        routes=fields.each("routes", MAX_ROUTES, _route),
        resources=frozenset(fields.texts("resources", MAX_RESOURCES, form=_RESOURCE, most_characters=1024)),
        fragments=fields.each("fragments", MAX_FRAGMENTS, _fragment) if fields.has("fragments") else None,
        menu_items=_menu_items(fields),
        active_since=fields.integer("active_since"),
        dialect=fields.one_of("dialect", _DIALECTS),
        compose=fields.flag("compose", default=False),
    )


def _address(fields: Fields) -> Address:
    pinned = fields.text("pinned", "", most=64)
    if pinned and not _is_ip(pinned):
        raise fields.misfit("pinned", "an IP address")
    return Address(
        scheme=fields.one_of("scheme", _SCHEMES),
        host=fields.text("host", form=_HOST, most=253),
        port=fields.integer("port", 1, 65535),
        base=fields.text("base", "", form=_BASE),
        pinned=pinned,
    )


def _route_fields(route: Route) -> dict[str, object]:
    fields: dict[str, object] = {"template": route.template}
    if route.methods is not None:
        fields["methods"] = sorted(route.methods)
    if route.kind is not RouteKind.HTTP:
        fields["kind"] = route.kind.value
    if route.host is not None:
        fields["host"] = route.host
    return fields


def _route(fields: Fields) -> Route:
    template = fields.text("template")
    _check_template(template)
    host = fields.text("host", most=253) if fields.has("host") else None
    if host is not None:
        parse_host_pattern(host)
    methods = None
    if fields.has("methods"):
        methods = frozenset(fields.texts("methods", MAX_METHODS, form=_METHOD, most_characters=32))
    return Route(template, methods, fields.one_of("kind", _KINDS, RouteKind.HTTP), host)


def _fragment_fields(fragment: FragmentDeclaration) -> dict[str, object]:
    lists = {"imports": [*map(str, fragment.imports)], "exports": [*map(str, fragment.exports)], "path": fragment.path}
    return {"ref": fragment.ref} | _given(lists)


def _fragment(fields: Fields) -> FragmentDeclaration:
    return FragmentDeclaration(
        ref=fields.text("ref", form=_REF, most=128),
        imports=parse_bindings(fields.texts("imports", MAX_BINDINGS)),
        exports=parse_bindings(fields.texts("exports", MAX_BINDINGS)),
        path=fields.text("path", "", form=_PATH),
    )


def _menu_fields(items: tuple[MenuItem, ...]) -> list[dict[str, object]]:
    """An item of the same menu as the one before does not repeat the name: it may be long."""
    written: list[dict[str, object]] = []
    menu = None
    for item in items:
        fields: dict[str, object] = {"endpoint": item.endpoint} | _given({"label": item.label})
        if item.menu != menu:
            fields["menu"] = menu = item.menu
        written.append(fields)
    return written


def _menu_items(fields: Fields) -> tuple[MenuItem, ...]:
    menu = ""

    def read(item: Fields) -> MenuItem:
        nonlocal menu
        menu = item.text("menu", menu)
        return MenuItem(menu, item.text("endpoint", form=_ENDPOINT), item.text("label", ""))

    return fields.each("menu_items", MAX_MENU_ITEMS, read)


def _given(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}


@lru_cache(4096)
def _check_template(template: str) -> None:
    """Instances of one service have the same templates, and this check is half of what reading them costs."""
    parse_template(template)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _entry(instance: ServiceInstance) -> str:
    return f"{instance.service} at {instance.address}"
