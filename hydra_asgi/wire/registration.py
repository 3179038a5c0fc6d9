"""The registration body (CONTRACT.md 1.2) as it arrives: validated once, then a core value.

Everything that a Java gateway would keep and stumble over later is refused here with the field and the reason
(CONTRACT.md section 6, row 20). Fields may be missing except `name`, `host` and `port`; unknown ones are ignored.
Our own nodes add the object `hydraAsgi`; then routes and fragments are read from there, and an empty `host` means
"the address I call from".

Rules for editors: a new field is optional and has the meaning of its absence; what older nodes send stays valid.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from hydra_asgi.core.admission.announced_address import check_base, check_host, check_port, check_scheme
from hydra_asgi.core.binding import parse_bindings
from hydra_asgi.core.instance import (
    Address,
    Dialect,
    FragmentDeclaration,
    MenuItem,
    Route,
    RouteKind,
    ServiceInstance,
)
from hydra_asgi.core.routing.template import parse_template
from hydra_asgi.core.routing.template_dialects import from_spring
from hydra_asgi.core.service_name import check_service_name
from hydra_asgi.errors import HydraError, RefusedError
from hydra_asgi.wire.strict_json import NotJsonError, read_json

__all__ = ["HydraAsgiBody", "Registration", "RegistrationBody", "parse_registration"]

MAX_BODY = 1_048_576
MAX_COLONS = 50_000
"""One per key. A registration at all its limits has 15,000; a megabyte of tiny objects would take a tenth of a second
to read."""
MAX_RESOURCES = 10_000
MAX_ROUTES = 2_000
MAX_FRAGMENTS = 500
MAX_MENU_ITEMS = 1_000
MAX_WEIGHT = 1_000_000.0
"""Shares are compared, so more digits say nothing; sums of them must stay exact."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_PLAIN = r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]*$"

Word = Annotated[str, StringConstraints(max_length=2048, pattern=_PLAIN)]
Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]


def _number_from_text(value: object) -> object:
    """Java peers may write a port as text and leave it null (CONTRACT.md 1.2)."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:20])
    return 0 if value is None else value


def _zero_for_null(value: object) -> object:
    return 0 if value is None else value


class _Body(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="ignore", alias_generator=to_camel, populate_by_name=False, allow_inf_nan=False
    )


class MenuItemBody(_Body):
    """One entry of a menu. The path may be a Spring pattern; `//host` would lead away from the site."""

    endpoint: Annotated[
        str, StringConstraints(max_length=2048, pattern=r"^/(?:[^/\\\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f\\]*)?$")
    ]
    label: Annotated[str, StringConstraints(max_length=200, pattern=_PLAIN)] | None = None


class RouteBody(_Body):
    """A route of one of our nodes."""

    template: Word
    methods: (
        Annotated[list[Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,20}$")]], Field(max_length=32)] | None
    ) = None
    kind: Literal["http", "websocket"] = "http"
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._{}:-]{1,253}$")] | None = None


class FragmentBody(_Body):
    """A fragment that one of our nodes declares."""

    ref: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~:/-]{1,128}$")]
    imports: Annotated[list[Word], Field(max_length=64)] = []
    exports: Annotated[list[Word], Field(max_length=64)] = []


class HydraAsgiBody(_Body):
    """Our extension: what Java has no word for."""

    protocol: Annotated[int, Field(ge=1, le=1_000)]
    library: Annotated[str, StringConstraints(max_length=64, pattern=_PLAIN)] = ""
    dialects: Annotated[list[Word], Field(max_length=16)] = []
    lease: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
    routes: Annotated[list[RouteBody], Field(max_length=MAX_ROUTES)] = []
    fragments: Annotated[list[FragmentBody], Field(max_length=MAX_FRAGMENTS)] | None = None
    weight: Annotated[float, Field(ge=0, le=MAX_WEIGHT)] = 10.0
    base: str = ""


class RegistrationBody(_Body):
    """The body of C1."""

    web_protocol: str = "https"  # what the Java gateway takes when the field is absent
    host: str = ""
    port: Annotated[int, BeforeValidator(_number_from_text)]
    socket_port: Annotated[int, BeforeValidator(_number_from_text)] = 0
    name: str
    version: Annotated[Integer, BeforeValidator(_zero_for_null)] = 0
    active_since: Annotated[Integer, BeforeValidator(_zero_for_null)] = 0
    awakening: Literal["NEWEST_VERSION_WINS", "EQUAL_SHARE"] | None = None
    endpoints: Annotated[list[Word], Field(max_length=MAX_ROUTES)] = []
    sockets: list[str] | None = None
    static_resources: Annotated[list[str], Field(max_length=MAX_RESOURCES)] = []
    menu_items: dict[Word, list[MenuItemBody]] | None = None
    hydra_asgi: HydraAsgiBody | None = None

    @model_validator(mode="after")
    def _has_host(self) -> Self:
        if not self.host and self.hydra_asgi is None:
            raise ValueError("host: a Java service names the host it is reached at")
        if sum(map(len, (self.menu_items or {}).values())) > MAX_MENU_ITEMS:
            raise ValueError(f"menuItems: more than {MAX_MENU_ITEMS} entries")
        return self


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration whose text is in order; whether its address may be used is still to be checked.

    Attributes:
        instance: what was announced. `address.host` is `""` when the caller's own address is meant.
        lease: the lease's name; `medusa:<scheme>://<host>:<port>` for a Java service, which has none of its own.
    """

    instance: ServiceInstance
    lease: str


def parse_registration(body: bytes) -> Registration:
    """Read the body of a registration.

    Raises:
        RefusedError: 400 for text that is not JSON, 413 for too much of it, 422 with the field and the reason for a
            value that is not acceptable, 403 for a port or route that belongs to somebody else.
    """
    if len(body) > MAX_BODY:
        raise RefusedError(413, f"the body is larger than {MAX_BODY} bytes")
    if body.count(b":") > MAX_COLONS:
        raise RefusedError(413, f"the body has more than {MAX_COLONS} keys")
    try:
        value = read_json(body)
    except NotJsonError as error:
        raise RefusedError(400, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RefusedError(422, "the body is not a JSON object")
    try:
        announced = RegistrationBody.model_validate(value)
    except ValidationError as error:
        raise _refusal(error) from None
    address = Address(
        check_scheme(announced.web_protocol),
        check_host(announced.host) if announced.host else "",
        check_port(announced.port),
        check_base(announced.hydra_asgi.base) if announced.hydra_asgi else "",
    )
    return _registration(announced, address)


def _registration(announced: RegistrationBody, address: Address) -> Registration:
    ours = announced.hydra_asgi
    with _at("name"):
        name = check_service_name(announced.name)
    instance = ServiceInstance(
        service=name,
        address=address,
        version=announced.version,
        weight=ours.weight if ours else 10.0,
        routes=_own_routes(ours.routes) if ours else _spring_routes(announced.endpoints),
        resources=frozenset(filter(_is_resource, announced.static_resources)),
        fragments=_fragments(ours.fragments) if ours and ours.fragments is not None else None,
        menu_items=_menu_items(announced.menu_items or {}),
        active_since=announced.active_since,
        dialect=Dialect.HYDRA if ours else Dialect.MEDUSA,
    )
    return Registration(instance, ours.lease if ours else f"medusa:{address.scheme}://{address.netloc}")


def _own_routes(routes: list[RouteBody]) -> tuple[Route, ...]:
    found: dict[Route, None] = {}
    for index, route in enumerate(routes):
        with _at(f"hydraAsgi.routes[{index}].template"):
            template = _published(parse_template(route.template).text)
        methods = None if route.methods is None else frozenset(route.methods)
        found[Route(template, methods, RouteKind(route.kind), route.host)] = None
    return tuple(found)


def _spring_routes(endpoints: list[str]) -> tuple[Route, ...]:
    found: dict[Route, None] = {}
    for index, endpoint in enumerate(endpoints):
        with _at(f"endpoints[{index}]"):
            found[Route(_published(parse_template(from_spring(endpoint)).text))] = None
    return tuple(found)


def _published(template: str) -> str:
    if template == "/h" or template.startswith("/h/"):
        raise RefusedError(403, f"{template[:80]!r} lies under /h/, which is the control plane's")
    return template


def _fragments(fragments: list[FragmentBody]) -> tuple[FragmentDeclaration, ...]:
    found: dict[str, FragmentDeclaration] = {}
    for index, fragment in enumerate(fragments):
        if fragment.ref in found:
            raise RefusedError(422, f"hydraAsgi.fragments[{index}].ref: {fragment.ref!r} is declared twice")
        with _at(f"hydraAsgi.fragments[{index}]"):
            found[fragment.ref] = FragmentDeclaration(
                fragment.ref, parse_bindings(fragment.imports), parse_bindings(fragment.exports)
            )
    return tuple(found.values())


def _menu_items(menus: dict[str, list[MenuItemBody]]) -> tuple[MenuItem, ...]:
    return tuple(MenuItem(menu, item.endpoint, item.label or "") for menu, items in menus.items() for item in items)


def _is_resource(entry: str) -> bool:
    """Whether a static file can be asked for. A Java class-path scan lists much that cannot (CONTRACT.md 3.3)."""
    is_file = bool(entry) and not entry.endswith("/") and len(entry) <= 1024 and entry.isprintable()
    return is_file and not {".", ".."}.intersection(entry.split("/"))


class _at:  # noqa: N801  # reads as a word: with _at("name")
    """Names the field in an error of the core, and makes it a refusal."""

    def __init__(self, field: str) -> None:
        self._field = field

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, HydraError):
            status = error.status if isinstance(error, RefusedError) else 422
            raise RefusedError(status, f"{self._field}: {error}") from None


def _refusal(error: ValidationError) -> RefusedError:
    """The first of pydantic's complaints as one sentence; the value itself may be huge, so its start is shown."""
    first = error.errors(include_url=False, include_context=False)[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    message = first["msg"].removeprefix("Value error, ")
    shown = "" if first["type"] in {"value_error", "missing"} else f", got {_shown(first['input'])}"
    return RefusedError(422, _CONTROL.sub("?", f"{path[:120]}{': ' if path else ''}{message[:200]}{shown}"))


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value[:80])
    if isinstance(value, list | dict):
        return f"{type(value).__name__} of {len(value)}"
    return repr(value)[:80]
