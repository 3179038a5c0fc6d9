"""The two questions about fragments: a page's node asks a gateway (C3), somebody asks the rendering service (C4).

The bodies are those of CONTRACT.md 2.3 and 2.5, which differ in the shape of `requests`; what only our own nodes say
stands in one extra object, `hydraAsgi`. What is refused here is checked nowhere else again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from hydra_asgi.core.binding import Binding, parse_bindings
from hydra_asgi.core.fragment import FragmentQuestion
from hydra_asgi.core.instance import Dialect
from hydra_asgi.errors import BindingError, RefusedError
from hydra_asgi.wire.strict_json import NotJsonError, dump_json, is_deeper, read_json

__all__ = ["BODY_LIMIT", "MEDUSA_LIMIT", "Ask", "Render", "ask_json", "parse_ask", "parse_render", "render_json"]

BODY_LIMIT = 1_048_576
"""Bytes of a question: the attributes and tags of one page, with room for 400 KB of fallbacks."""

MEDUSA_LIMIT = 262_144
"""Bytes of any JSON body that a Java peer still takes (CONTRACT.md section 6, row 34)."""

MAX_QUESTIONS = 200
"""More fragments than any page has; keeps one call from starting thousands of renderings."""

MAX_DEPTH = 32
"""Nesting of the attributes; deeper ones are no page's model but an attack on whoever walks them."""

MAX_FALLBACK = 400_000
"""Characters of all fallbacks together; more are dropped, since nobody needs them to answer."""

PROTOCOL = 1

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """C3: fragments of several services for one page.

    Attributes:
        attributes: the page's attributes.
        requests: service -> its questions; ids are unique within a service, not across services.
        headers: the page's headers that the asker lends, lower-case names.
        key: the user's weight key, "" for none.
        depth: how many fragments deep the page is.
        budget: seconds the asker will wait, None when it did not say.
        origin: `scheme://host` of the page, "" when the asker did not say.
    """

    attributes: Mapping[str, object]
    requests: Mapping[str, tuple[FragmentQuestion, ...]]
    headers: Headers = ()
    key: str = ""
    depth: int = 0
    budget: float | None = None
    origin: str = ""

    @property
    def questions(self) -> tuple[FragmentQuestion, ...]:
        """All questions, service after service."""
        return tuple(question for group in self.requests.values() for question in group)


@dataclass(frozen=True, slots=True)
class Render:
    """C4: fragments of one service. `requests` is flat, the rest is as in `Ask`."""

    attributes: Mapping[str, object]
    questions: tuple[FragmentQuestion, ...]
    headers: Headers = ()
    key: str = ""
    depth: int = 0
    budget: float | None = None
    origin: str = ""


# Control characters would make ids that grow sixfold in JSON, and 200 of them would not fit into an answer.
_Id = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Name = Annotated[str, StringConstraints(max_length=256)]
_Bindings = Annotated[list[Annotated[str, StringConstraints(max_length=300)]], Field(max_length=64)]
_HeaderName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
_HeaderValue = Annotated[str, StringConstraints(max_length=8192, pattern=r"^[\t\x20-\x7e\u0080-\u00ff]*$")]
_Header = Annotated[tuple[_HeaderName, _HeaderValue], Field(strict=False)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


BodyT = TypeVar("BodyT", bound=_Body)


class _Question(_Body):
    id: _Id
    ref: _Name | None = None
    imports: _Bindings | None = None
    exports: _Bindings | None = None
    fallback: str | None = None


class _Extension(_Body):
    headers: Annotated[list[_Header], Field(max_length=64)] = []
    key: Annotated[str, StringConstraints(max_length=256, pattern=r"^[\x21-\x7e]*$")] = ""
    depth: Annotated[int, Field(ge=0, le=64)] = 0
    budget: Annotated[float, Field(gt=0)] | None = None
    origin: Annotated[str, StringConstraints(pattern=r"^(https?://[A-Za-z0-9._~:\[\]-]{1,260})?$")] = ""


class _AskBody(_Body):
    attributes: dict[str, Any] | None = None
    requests: dict[_Name, list[_Question]]
    extension: _Extension = Field(default_factory=_Extension, alias="hydraAsgi")


class _RenderBody(_Body):
    attributes: dict[str, Any] | None = None
    requests: list[_Question]
    extension: _Extension = Field(default_factory=_Extension, alias="hydraAsgi")


def parse_ask(body: bytes) -> Ask:
    """Read the body of C3.

    Raises:
        RefusedError: 413 too large, 400 not JSON, 422 another shape; the reason names the field.
    """
    read = _read(_AskBody, body)
    _check_count(sum(map(len, read.requests.values())))
    keep = _fallbacks_fit(question for group in read.requests.values() for question in group)
    requests = {service: _questions(group, service, keep=keep) for service, group in read.requests.items()}
    return Ask(read.attributes or {}, requests, **_extension(read.extension))


def parse_render(body: bytes, service: str = "") -> Render:
    """Read the body of C4; the questions are put to `service`, whatever name the asker has for it.

    Raises:
        RefusedError: as `parse_ask`.
    """
    read = _read(_RenderBody, body)
    _check_count(len(read.requests))
    questions = _questions(read.requests, service, keep=_fallbacks_fit(read.requests))
    return Render(read.attributes or {}, questions, **_extension(read.extension))


def ask_json(ask: Ask) -> bytes:
    """Write the body of C3: what Java Hydra reads, and beside it what our own gateways read.

    Raises:
        ValueError: an attribute has no form in JSON.
    """
    requests = {service: [_question_json(question) for question in group] for service, group in ask.requests.items()}
    return dump_json({"attributes": ask.attributes, "requests": requests, "hydraAsgi": _extension_json(ask)})


def render_json(render: Render, dialect: Dialect = Dialect.HYDRA) -> bytes:
    """Write the body of C4.

    A Medusa gets every property that Java Hydra would send and no other (CONTRACT.md 10.1), without the fallbacks
    when the body would be too large for it with them.

    Raises:
        ValueError: an attribute has no form in JSON.
    """
    if dialect is Dialect.HYDRA:
        asked = [_question_json(question) for question in render.questions]
        return dump_json({"attributes": render.attributes, "requests": asked, "hydraAsgi": _extension_json(render)})
    body = _medusa_json(render, fallbacks=True)
    return body if len(body) <= MEDUSA_LIMIT else _medusa_json(render, fallbacks=False)


def _medusa_json(render: Render, *, fallbacks: bool) -> bytes:
    asked = [{"imports": [], **_question_json(question)} for question in render.questions]
    if not fallbacks:
        asked = [{**question, "fallback": ""} for question in asked]
    return dump_json({"attributes": render.attributes, "requests": asked})


def _question_json(question: FragmentQuestion) -> dict[str, object]:
    value: dict[str, object] = {"id": question.id, "service": question.service, "ref": question.ref}
    if question.imports is not None:
        value["imports"] = [str(binding) for binding in question.imports]
    return {**value, "exports": [str(binding) for binding in question.exports], "fallback": question.fallback}


def _extension_json(source: Ask | Render) -> dict[str, object]:
    value: dict[str, object] = {"protocol": PROTOCOL}
    if source.headers:
        value["headers"] = [[name.decode("latin-1"), content.decode("latin-1")] for name, content in source.headers]
    if source.key:
        value["key"] = source.key
    if source.depth:
        value["depth"] = source.depth
    if source.budget is not None:
        value["budget"] = source.budget
    if source.origin:
        value["origin"] = source.origin
    return value


def _read(kind: type[BodyT], body: bytes) -> BodyT:
    if len(body) > BODY_LIMIT:
        raise RefusedError(413, f"the body has {len(body)} bytes, at most {BODY_LIMIT} are taken")
    try:
        value = read_json(body)
    except NotJsonError as error:
        raise RefusedError(400, f"the body is not usable JSON: {error}") from None
    if isinstance(value, dict) and is_deeper(value.get("attributes"), MAX_DEPTH):
        raise RefusedError(422, f"attributes: nested more than {MAX_DEPTH} deep")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise RefusedError(422, _reason(error)) from None


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(step)[:40] for step in first["loc"])
    return f"{where or 'body'}: {first['msg']}"[:300]


def _check_count(count: int) -> None:
    if count > MAX_QUESTIONS:
        raise RefusedError(422, f"requests: {count} fragments in one call, at most {MAX_QUESTIONS} are taken")


def _fallbacks_fit(questions: Iterable[_Question]) -> bool:
    return sum(len(question.fallback or "") for question in questions) <= MAX_FALLBACK


def _questions(group: list[_Question], service: str, *, keep: bool) -> tuple[FragmentQuestion, ...]:
    ids = [question.id for question in group]
    if len(set(ids)) != len(ids):
        raise RefusedError(422, f"requests: an id appears twice among the fragments of {service[:80]!r}")
    return tuple(
        FragmentQuestion(
            question.id,
            service,
            question.ref or "",
            # A Medusa has no such property; an empty list means that the fragment may see nothing.
            None if question.imports is None else _bindings("imports", question.imports),
            _bindings("exports", question.exports or []),
            (question.fallback or "") if keep else "",
        )
        for question in group
    )


def _bindings(name: str, items: list[str]) -> tuple[Binding, ...]:
    try:
        return parse_bindings(items)
    except BindingError as error:
        raise RefusedError(422, f"{name}: {error}") from None


def _extension(read: _Extension) -> dict[str, Any]:
    pairs = ((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in read.headers)
    return {
        "headers": tuple(pairs),
        "key": read.key,
        "depth": read.depth,
        "budget": read.budget,
        "origin": read.origin,
    }
