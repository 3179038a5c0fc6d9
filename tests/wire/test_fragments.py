"""The two questions about fragments, C3 and C4."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.binding import Binding, parse_bindings
from hydra_asgi.core.fragment import FragmentQuestion
from hydra_asgi.core.instance import Dialect
from hydra_asgi.errors import RefusedError
from hydra_asgi.wire.fragments import (
    MAX_FALLBACK,
    MEDUSA_LIMIT,
    Ask,
    Render,
    ask_json,
    parse_ask,
    parse_render,
    render_json,
)
from tests.pace import at_usual_pace
from tests.recorded_fragments import recorded

NOTHING = "$#FRGM-5nOVcKu4ljk1Ak+1Eouuliwk020tCSaYUaLZknZaVK7BeYNt802eW2fENzui"
HELLO = "$#FRGM-vgY7eKSXe8tY6DSuoHyUEUB+SwZ2iq+wRrHS07cEhyTf9jH42t9do93jNQGH"
SURVIVING = st.characters(exclude_categories=["Cs", "Cc"])


def body(**parts: Any) -> bytes:
    """A C4 body with one question, changed by `parts`."""
    return json.dumps({"attributes": {}, "requests": [{"id": "x", "ref": "r"}], **parts}).encode()


def one(**parts: Any) -> bytes:
    """A C4 body whose one question is changed by `parts`."""
    return body(requests=[{"id": "x", "ref": "r", **parts}])


bindings = st.builds(Binding, st.just("dob"), st.sampled_from(["dob", "birth"])).map(lambda binding: (binding,))
questions = st.builds(
    FragmentQuestion,
    id=st.text(SURVIVING, min_size=1, max_size=20),
    service=st.just("two"),
    ref=st.text(SURVIVING, max_size=20),
    imports=st.none() | st.just(()) | bindings,
    exports=st.just(()) | bindings,
    fallback=st.text(SURVIVING, max_size=20),
)
groups = st.lists(questions, max_size=4, unique_by=lambda question: question.id).map(tuple)
extension = {
    "headers": st.lists(st.sampled_from([(b"accept-language", b"nl"), (b"x-a", b"caf\xe9")]), max_size=2).map(tuple),
    "key": st.sampled_from(["", "k1"]),
    "depth": st.integers(0, 5),
    "budget": st.none() | st.floats(0.01, 5),
}
attributes = st.dictionaries(st.text(SURVIVING, max_size=5), st.integers() | st.text(SURVIVING, max_size=5), max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.builds(Ask, attributes=attributes, requests=groups.map(lambda group: {"two": group}), **extension))
def test_an_ask_survives_the_wire(ask: Ask) -> None:
    """What our node asks is what our gateway reads."""
    assert parse_ask(ask_json(ask)) == ask


@settings(max_examples=60, deadline=None)
@given(st.builds(Render, attributes=attributes, questions=groups, **extension))
def test_a_render_survives_the_wire(render: Render) -> None:
    """What our gateway asks is what our service reads."""
    assert parse_render(render_json(render), "two") == render


def test_a_recorded_medusa_asks() -> None:
    """The body of an unmodified Medusa gives its attributes, and questions that may see all of them."""
    ask = parse_ask(recorded("fragments-ask.request").body)
    assert ask.attributes == {"total": 3, "customer": "Ann"}
    assert ask.requests == {
        "absent": (FragmentQuestion(NOTHING, "absent", "nothing", None, (), "<em>fallback of absent</em>"),),
        "two": (FragmentQuestion(HELLO, "two", "two_hello", None, (), "<em>fallback of two</em>"),),
    }
    assert (ask.headers, ask.key, ask.depth, ask.budget) == ((), "", 0, None)
    assert [question.service for question in ask.questions] == ["absent", "two"]


def test_a_recorded_java_hydra_asks() -> None:
    """The body of a Java Hydra gives questions whose empty import lists close them."""
    render = parse_render(recorded("fragments-render.request").body, "two")
    assert render.questions == (FragmentQuestion(HELLO, "two", "two_hello", (), (), "<em>fallback of two</em>"),)
    assert render.attributes == {"total": 3, "customer": "Ann"}


def test_a_medusa_gets_what_java_hydra_sends() -> None:
    """The body for a Medusa is the recorded one, value for value, and has nothing of ours in it."""
    sent = recorded("fragments-render.request").body
    question = FragmentQuestion(HELLO, "two", "two_hello", None, (), "<em>fallback of two</em>")
    ours = Render({"total": 3, "customer": "Ann"}, (question,), ((b"x-a", b"1"),), "key", 1, 0.5)
    assert json.loads(render_json(ours, Dialect.MEDUSA)) == json.loads(sent)


def test_a_java_hydra_gets_the_two_shapes_right() -> None:
    """C3 has an object of lists with imports as strings, and a question that sees all has no imports at all."""
    closed = FragmentQuestion("1", "two", "a", parse_bindings("dob, country as land"), parse_bindings("zip"))
    ask = Ask({"dob": 1}, {"two": (closed, FragmentQuestion("2", "two", "b", None))})
    value = json.loads(ask_json(ask))
    assert value["requests"] == {
        "two": [
            {
                "id": "1",
                "service": "two",
                "ref": "a",
                "imports": ["dob", "country as land"],
                "exports": ["zip"],
                "fallback": "",
            },
            {"id": "2", "service": "two", "ref": "b", "exports": [], "fallback": ""},
        ]
    }
    assert value["hydraAsgi"] == {"protocol": 1}


def test_null_attributes_are_none() -> None:
    """A Java Hydra that sends null for the attributes is understood, as by a Medusa."""
    assert parse_render(recorded("fragments-render-attributes-null.request").body, "one").attributes == {}


def test_no_requests_are_no_questions() -> None:
    """An empty `requests` is a valid question, whose answer is empty."""
    assert parse_ask(recorded("fragments-ask-empty.request").body).questions == ()


def test_an_id_may_be_asked_of_two_services() -> None:
    """The same id under two services is two questions."""
    ask = parse_ask(b'{"requests":{"a":[{"id":"x","ref":"r"}],"b":[{"id":"x","ref":"r"}]}}')
    assert [(question.service, question.id) for question in ask.questions] == [("a", "x"), ("b", "x")]


def test_non_ascii_and_nesting_arrive() -> None:
    """Text of any language and nested attributes arrive as they were sent."""
    read = parse_render(body(attributes={"naam": "Zoë 漢字", "lines": [{"sku": "A1", "qty": 2}]}))
    assert read.attributes == {"naam": "Zoë 漢字", "lines": [{"sku": "A1", "qty": 2}]}


def test_fallbacks_arrive_up_to_their_cap() -> None:
    """400 KB of fallback is taken; more is dropped, and the question stays."""
    assert len(parse_render(one(fallback="f" * MAX_FALLBACK)).questions[0].fallback) == MAX_FALLBACK
    assert parse_render(one(fallback="f" * (MAX_FALLBACK + 1))).questions[0].fallback == ""


def test_a_medusa_gets_no_fallbacks_that_it_cannot_hold() -> None:
    """A body that only fallbacks make too large for a Medusa goes without them."""
    question = FragmentQuestion("x", "two", "r", fallback="f" * MEDUSA_LIMIT)
    sent = render_json(Render({}, (question,)), Dialect.MEDUSA)
    assert json.loads(sent)["requests"][0]["fallback"] == ""
    assert len(sent) < MEDUSA_LIMIT


def test_depth_up_to_the_cap_is_taken() -> None:
    """Attributes nested 32 deep are taken."""
    assert parse_render(b'{"attributes":{"a":' + b"[" * 31 + b"]" * 31 + b'},"requests":[]}').questions == ()


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (b"", 400, "JSON"),
        (b"nonsense", 400, "JSON"),
        (b'{"attributes":{"a":NaN},"requests":[]}', 400, "NaN"),
        (b"[" * 200_000, 400, "deep"),
        (b" " * 1_048_577, 413, "1048577 bytes"),
        (b"[]", 422, "body"),
        (b"{}", 422, "requests"),
        (b'{"requests":null}', 422, "requests"),
        (b'{"requests":{}}', 422, "requests"),
        (b'{"requests":[null]}', 422, "requests.0"),
        (body(attributes=[]), 422, "attributes"),
        (b'{"attributes":{"a":' + b"[" * 32 + b"]" * 32 + b'},"requests":[]}', 422, "32 deep"),
        (one(id=""), 422, "requests.0.id"),
        (one(id=None), 422, "requests.0.id"),
        (one(id=7), 422, "requests.0.id"),
        (one(id="i" * 257), 422, "256"),
        (one(id="a\r\nb"), 422, "requests.0.id"),
        (one(ref="r" * 257), 422, "requests.0.ref"),
        (one(imports="dob"), 422, "requests.0.imports"),
        (one(imports=["a b"]), 422, "imports: 'a b'"),
        (one(exports=["a", "b as a"]), 422, "exports"),
        (one(imports=["a"] * 65), 422, "requests.0.imports"),
        (one(fallback=1), 422, "requests.0.fallback"),
        (body(requests=[{"id": str(number)} for number in range(201)]), 422, "201 fragments"),
        (body(requests=[{"id": "x"}, {"id": "x"}]), 422, "twice"),
        (body(hydraAsgi={"depth": -1}), 422, "hydraAsgi.depth"),
        (body(hydraAsgi={"budget": 0}), 422, "hydraAsgi.budget"),
        (body(hydraAsgi={"key": "a b"}), 422, "hydraAsgi.key"),
        (body(hydraAsgi={"headers": [["a"]]}), 422, "hydraAsgi.headers"),
        (body(hydraAsgi={"headers": [["a b", "c"]]}), 422, "hydraAsgi.headers"),
        (body(hydraAsgi={"headers": [["a", "c\r\nd: e"]]}), 422, "hydraAsgi.headers"),
        (body(hydraAsgi={"headers": [["a", "漢"]]}), 422, "hydraAsgi.headers"),
    ],
)
def test_hostile_bodies_are_refused(sent: bytes, status: int, reason: str) -> None:
    """Everything else is refused quickly, with a status and a reason that names the place."""
    started = time.process_time()
    with pytest.raises(RefusedError, match=reason) as caught:
        parse_render(sent)
    assert caught.value.status == status
    assert len(caught.value.reason) < 400
    taken = time.process_time() - started
    assert taken < at_usual_pace(0.5)  # ten times the aim: the machine that runs this is shared


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b'{"requests":[]}', "requests"),
        (b'{"requests":{"a":null}}', "requests.a"),
        (b'{"requests":{"%s":[]}}' % (b"s" * 257), "requests"),
        (json.dumps({"requests": {s: [{"id": str(n)} for n in range(101)] for s in "ab"}}).encode(), "202 fragments"),
        (b'{"requests":{"a":[{"id":"x"},{"id":"x"}]}}', "twice"),
    ],
)
def test_hostile_asks_are_refused(sent: bytes, reason: str) -> None:
    """The other shape has the same limits."""
    with pytest.raises(RefusedError, match=reason) as caught:
        parse_ask(sent)
    assert caught.value.status == 422


def test_unknown_properties_are_ignored() -> None:
    """A newer peer may say more."""
    read = parse_render(body(more=1, requests=[{"id": "x", "ref": "r", "more": 1}], hydraAsgi={"more": 1}))
    assert read.questions == (FragmentQuestion("x", "", "r", None),)


def test_header_names_become_lower_case() -> None:
    """Lent headers arrive as ASGI has them."""
    assert parse_render(body(hydraAsgi={"headers": [["X-Tenant", "Zoë"]]})).headers == ((b"x-tenant", b"Zo\xeb"),)


def test_an_attribute_without_a_form_is_said() -> None:
    """A value that JSON has no form for raises ValueError at the asker."""
    with pytest.raises(ValueError, match="not JSON serializable"):
        ask_json(Ask({"a": object()}, {}))
