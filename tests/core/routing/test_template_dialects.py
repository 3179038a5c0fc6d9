"""Path templates of Spring, Starlette and Werkzeug, in and out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.routing.template import parse_template
from hydra_asgi.core.routing.template_dialects import from_spring, from_starlette, from_werkzeug, prefixed, to_spring
from hydra_asgi.errors import TemplateError


@pytest.mark.parametrize(
    ("pattern", "template"),
    [
        ("/", "/"),
        ("", "/"),
        ("/detail/sample/keyup", "/detail/sample/keyup"),
        ("detail", "/detail"),
        ("/orders/", "/orders/"),
        ("/detail/{type}", "/detail/{type}"),
        ("/detail/path/{sample1}/{sample2}", "/detail/path/{sample1}/{sample2}"),
        (r"/a/{id:\d+}", "/a/{id}"),
        ("/a/{id:[a-z]{2,3}}/b", "/a/{id}/b"),
        ("/a/{id:x/y}/b", "/a/{id}/b"),
        ("/a/*", "/a/{p1}"),
        ("/a/*.html", "/a/{p1}"),
        ("/a/b?/c", "/a/{p1}/c"),
        ("/a/{p1}/*", "/a/{p1}/{p2}"),
        ("/a/x{id}", "/a/{p1}"),
        ("/a/{id}.json", "/a/{p1}"),
        ("/a/{x}{y}", "/a/{p1}"),
        ("/a/{x}-{y}", "/a/{p1}"),
        ("/a/{my-name}", "/a/{p1}"),
        ("/a/{naïve}", "/a/{p1}"),
        ("/a/{}", "/a/{p1}"),
        ("/{x}/{x}", "/{x}/{p1}"),
        ("/**", "/{path:path}"),
        ("/a/**", "/a/{path:path}"),
        ("/a/**/b", "/a/{path:path}"),
        ("/{path}/**", "/{path}/{p1:path}"),
        ("/a/{*rest}", "/a/{rest:path}"),
        ("/a/{*my-rest}", "/a/{path:path}"),
    ],
)
def test_spring_patterns_are_read(pattern: str, template: str) -> None:
    """Wildcards within a segment widen it to a parameter, expressions are dropped, the rest stays the rest."""
    assert from_spring(pattern) == template


@pytest.mark.parametrize(
    "pattern", ["/{a", "/a}", "/{a}}/b", "/a//b", "/a/../b", "/a#b", "/" + "a" * 3000, "/*" * 65, "/*" * 50_000]
)
def test_spring_patterns_that_are_none_are_refused(pattern: str) -> None:
    """Unpaired braces and whatever no route may be are an error that names the pattern."""
    with pytest.raises(TemplateError, match=re.escape(repr(pattern[:80]))):
        from_spring(pattern)


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        ("/", "/"),
        ("/a/", "/a/"),
        ("/a/{id}", "/a/{id}"),
        ("/a/{id:int}", r"/a/{id:\d+}"),
        ("/a/{f:float}", r"/a/{f:\d+(?:\.\d+)?}"),
        ("/a/{u:uuid}", "/a/{u:[0-9a-fA-F-]+}"),
        ("/files/{name:path}", "/files/{*name}"),
        ("/a*b/**", "/a?b/??"),
        ("/straße", "/straße"),
    ],
)
def test_spring_patterns_are_written(template: str, pattern: str) -> None:
    """Types become expressions without a capturing group, and a literal star never becomes a wildcard for many."""
    assert to_spring(template) == pattern


def test_only_templates_are_written() -> None:
    """What is not in our syntax is refused before a Java gateway sees it."""
    with pytest.raises(TemplateError, match="unknown type"):
        to_spring("/{a:[}")


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("", "/"),
        ("/items/", "/items/"),
        ("/items/{id}", "/items/{id}"),
        ("/items/{id:str}", "/items/{id}"),
        ("/items/{id:int}/{f:float}/{u:uuid}", "/items/{id:int}/{f:float}/{u:uuid}"),
        ("/items/{when:datetime}", "/items/{when}"),
        ("/files/{name:path}", "/files/{name:path}"),
        ("/files/{name:path}/raw", "/files/{name:path}"),
        ("/files/{name:path}.json", "/files/{name:path}"),
        ("/files-{a}{name:path}", "/{name:path}"),
        ("/{name}.json", "/{p1}"),
        ("/v{major:int}.{minor:int}/x", "/{p1}/x"),
        ("/{p1}/{name}.json", "/{p1}/{p2}"),
        ("/{a-b}", "/{p1}"),
        ("/a}b", "/{p1}"),
        ("/{id:}", "/{p1}"),
    ],
)
def test_starlette_paths_are_read(path: str, template: str) -> None:
    """Known convertors keep their type, others are untyped, and what reaches over a slash takes the rest."""
    assert from_starlette(path) == template


@pytest.mark.parametrize(
    ("rule", "template"),
    [
        ("/", "/"),
        ("", "/"),
        ("/orders/", "/orders/"),
        ("/orders/<id>", "/orders/{id}"),
        ("/orders/<int:id>/<float:f>/<uuid:u>", "/orders/{id:int}/{f:float}/{u:uuid}"),
        ("/orders/<int(min=1, max=9):id>", "/orders/{id:int}"),
        ("/orders/<int(signed=True):id>", "/orders/{id}"),
        ("/orders/<string(length=2):code>", "/orders/{code}"),
        ("/orders/<any(a, b):kind>/x", "/orders/{kind}/x"),
        ('/orders/<any("a/b", c):kind>/x', "/orders/{kind:path}"),
        ("/orders/<custom:x>", "/orders/{x}"),
        ("/files/<path:name>", "/files/{name:path}"),
        ("/files/<path:name>/raw", "/files/{name:path}"),
        ("/<name>.json", "/{p1}"),
        ("/<int:a>-<int:b>", "/{p1}"),
        ("/a{b}", "/{p1}"),
        ("/<größe>", "/{p1}"),
    ],
)
def test_werkzeug_rules_are_read(rule: str, template: str) -> None:
    """Known converters keep their type, others are untyped, and what reaches over a slash takes the rest."""
    assert from_werkzeug(rule) == template


@pytest.mark.parametrize("rule", ["/<a", "/a>", "/<a<b>>", "/<1>", "/<>", "orders", "/a//b"])
def test_werkzeug_rules_that_are_none_are_refused(rule: str) -> None:
    """Unpaired brackets and whatever no route may be are errors that name the rule."""
    with pytest.raises(TemplateError, match=re.escape(repr(rule))):
        from_werkzeug(rule)


def test_a_starlette_path_without_a_slash_is_refused() -> None:
    """Starlette refuses it too."""
    with pytest.raises(TemplateError, match="start with '/'"):
        from_starlette("items")


@pytest.mark.parametrize(
    ("prefix", "template", "joined"),
    [
        ("", "/a", "/a"),
        ("/", "/a", "/a"),
        ("/orders", "/", "/orders/"),
        ("/orders/", "/{id}", "/orders/{id}"),
        ("/orders", "/{rest:path}", "/orders/{rest:path}"),
        ("/{tenant}", "/{tenant}/x", "/{tenant}/{p1}/x"),
        ("/{p1}", "/{p1}/{p2:int}", "/{p1}/{p3}/{p2:int}"),
        ("/files/{rest:path}", "/x", "/files/{rest:path}"),
    ],
)
def test_a_prefix_is_put_before_a_template_by_segments(prefix: str, template: str, joined: str) -> None:
    """Slashes are not doubled and names stay unique."""
    assert prefixed(prefix, template) == joined


@pytest.mark.parametrize(("prefix", "template"), [("orders", "/a"), ("/a", "b"), ("/..", "/a"), ("/a" * 60, "/b" * 5)])
def test_a_prefix_and_what_it_is_put_before_are_templates(prefix: str, template: str) -> None:
    """A bad prefix or one that makes the template too long is refused."""
    with pytest.raises(TemplateError):
        prefixed(prefix, template)


_TEXTS = st.text("/{}<>*?:.ab1,()[-", max_size=16).map(lambda tail: f"/{tail}")


@given(_TEXTS)
def test_every_result_is_a_template_and_can_be_written_for_spring(text: str) -> None:
    """Whatever is read gives a template of ours or a TemplateError, and Spring gets a pattern with paired braces."""
    for read in (from_spring, from_starlette, from_werkzeug):
        try:
            template = read(text)
        except TemplateError:
            continue
        assert parse_template(template).text == template
        pattern = to_spring(template)
        assert pattern.count("{") == pattern.count("}")
        assert re.sub(r"\{[^{}]*\}", "", pattern).strip("/").count("*") == 0


_OURS = st.lists(
    st.sampled_from(["a", "b.c", "{x}", "{n:int}", "{f:float}", "{u:uuid}", "{r:path}"]), max_size=5, unique=True
)


@given(_OURS)
def test_our_syntax_survives_spring_but_for_its_types(pieces: list[str]) -> None:
    """Reading what was written gives the same template with untyped parameters."""
    pieces = sorted(pieces, key=lambda piece: piece == "{r:path}")
    untyped = [re.sub(r":(?:int|float|uuid)", "", piece) for piece in pieces]
    assert from_spring(to_spring("/" + "/".join(pieces))) == "/" + "/".join(untyped)
