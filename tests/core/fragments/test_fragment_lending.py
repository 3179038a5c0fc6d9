"""What a core page lends to a service."""

import pytest

from hydra_asgi.core.binding import parse_bindings
from hydra_asgi.core.fragment import FragmentQuestion, PageContext
from hydra_asgi.core.fragments.fragment_lending import allowed_names, lent_attributes, lent_by_page, lent_headers

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def question(imports: str | None) -> FragmentQuestion:
    return FragmentQuestion("1", "two", "r", None if imports is None else parse_bindings(imports))


def test_nothing_personal_is_lent_by_default() -> None:
    """Without an allow-list only the language and the trace context leave."""
    headers = [
        (b"cookie", b"session=1"),
        (b"authorization", b"Bearer x"),
        (b"accept-language", b"nl"),
        (b"traceparent", TRACE),
        (b"tracestate", b"a=1"),
        (b"x-tenant", b"t"),
    ]
    assert lent_headers(headers, ()) == (
        (b"accept-language", b"nl"),
        (b"traceparent", TRACE),
        (b"tracestate", b"a=1"),
    )


def test_named_headers_are_lent_in_order() -> None:
    """An allow-list opens by name in any case, repeated fields stay."""
    headers = [(b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3")]
    assert lent_headers(headers, ["X-A", "x-B"]) == tuple(headers)


def test_single_cookies_are_lent() -> None:
    """`cookie:NAME` lends that cookie and no other, from however many fields."""
    headers = [(b"cookie", b"a=1; b=2;c=3"), (b"cookie", b"b=4")]
    assert lent_headers(headers, ["cookie:b", "Cookie:c"]) == ((b"cookie", b"b=2; c=3; b=4"),)
    assert lent_headers(headers, ["cookie:d"]) == ()
    assert lent_headers(headers, ["cookie", "cookie:b"]) == tuple(headers)


@pytest.mark.parametrize("name", ["Host", "connection", "transfer-encoding", "content-length", "hydra-signature"])
def test_framing_is_never_lent(name: str) -> None:
    """No allow-list opens what frames, routes or signs the question itself."""
    assert lent_headers([(name.lower().encode(), b"x")], [name]) == ()


@pytest.mark.parametrize("bad", [b"nonsense", b"ff" + TRACE[2:], TRACE.upper(), TRACE + b"-x", b"0" * 10_240])
def test_a_malformed_trace_starts_anew(bad: bytes) -> None:
    """A malformed `traceparent` is dropped and takes `tracestate` with it."""
    assert lent_headers([(b"traceparent", bad), (b"tracestate", b"a=1")], ()) == ()


def test_the_name_of_the_request_is_lent() -> None:
    """Everybody who works on a request may name it in the log; a name that is not plain stays here."""
    assert lent_headers([(b"x-request-id", b"r1")], ()) == ((b"x-request-id", b"r1"),)
    assert lent_headers([(b"x-request-id", b"a b")], ["X-Request-Id"]) == ()


def test_two_traces_are_none() -> None:
    """A repeated `traceparent` names no trace."""
    assert lent_headers([(b"traceparent", TRACE)] * 2, ()) == ()


def test_huge_values_are_not_lent() -> None:
    """A value beyond 8 KiB stays here."""
    assert lent_headers([(b"accept-language", b"x" * 8193)], ()) == ()


def test_only_imports_leave() -> None:
    """The union of the imported names leaves, under the page's names; what is not there is left out."""
    attributes = {"dob": 1, "country": "NL", "secret": 2}
    assert lent_attributes([question("dob as birth"), question("country, absent")], attributes) == {
        "dob": 1,
        "country": "NL",
    }
    assert lent_attributes([question("")], attributes) == {}


def test_a_medusa_lends_everything() -> None:
    """A question without an import list shows all attributes, as upstream does."""
    attributes = {"dob": 1}
    assert lent_attributes([question("x"), question(None)], attributes) == attributes


def test_allow_lists_add_up() -> None:
    """What is named for every service and what is named for one are both allowed."""
    forward = {"*": ["a"], "two": ["b"]}
    assert allowed_names(forward, "two") == ("a", "b")
    assert allowed_names(forward, "one") == ("a",)


def test_one_allow_list_decides() -> None:
    """A page's own headers meet the allow-list; headers that a node of ours lends are taken as they are."""
    headers = ((b"accept-language", b"de"), (b"x-tenant", b"t"), (b"x-other", b"o"))
    assert lent_by_page(PageContext(0.0, headers), ["X-Tenant"]) == headers[:2]
    assert lent_by_page(PageContext(0.0, headers, is_lent=True), []) == headers
