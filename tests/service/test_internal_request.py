import asyncio

import pytest

from hydra_asgi.service.internal_request import PathError, ResponseRecorder, filled_path, internal_scope


@pytest.mark.parametrize(
    ("template", "values", "path"),
    [
        ("/", {}, "/"),
        ("/a/", {}, "/a/"),
        ("/a/{id}", {"id": "ü x"}, "/a/ü x"),
        ("/a/{id:int}/b", {"id": 7, "other": 1}, "/a/7/b"),
        ("/f/{rest:path}", {"rest": "a/b"}, "/f/a/b"),
    ],
)
def test_filled(template: str, values: dict[str, object], path: str) -> None:
    """Values take the place of their parameters."""
    assert filled_path(template, values) == path


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("/a/{id}", ""),
        ("/a/{id}", "a/b"),
        ("/a/{id}", ".."),
        ("/a/{id}", "."),
        ("/a/{id}", "a\r\nb"),
        ("/a/{id:path}", "a/../b"),
        ("/a/{id:path}", "/b"),
    ],
)
def test_hostile_values(template: str, value: str) -> None:
    """A value that would lead to another route is refused."""
    with pytest.raises(PathError, match="cannot be 'id'"):
        filled_path(template, {"id": value})


def test_missing_value() -> None:
    """A parameter that was not imported is named."""
    with pytest.raises(PathError, match="needs 'id'"):
        filled_path("/a/{id}", {})


def test_scope() -> None:
    """The request is a plain GET for HTML with nobody's address, under the mount, in an own copy of the state."""
    state = {"db": object()}
    scope = internal_scope(
        "/a ü",
        headers=[(b"accept-language", b"de"), (b"accept", b"*/*"), (b"host", b"evil")],
        origin="https://site.test",
        root_path="/orders",
        base={"app": "the app", "state": state, "client": ("127.0.0.1", 1), "method": "POST"},
    )
    assert scope["method"] == "GET"
    assert (scope["path"], scope["raw_path"], scope["root_path"]) == ("/orders/a ü", b"/orders/a%20%C3%BC", "/orders")
    assert scope["headers"] == [(b"host", b"site.test"), (b"accept", b"text/html"), (b"accept-language", b"de")]
    assert (scope["client"], scope["app"], scope["scheme"]) == (None, "the app", "https")
    assert scope["state"] == state
    assert scope["state"] is not state


def test_scope_alone() -> None:
    """Without a known origin and without a base the scope is complete all the same."""
    scope = internal_scope("/", headers=[], origin="")
    assert scope["headers"][0] == (b"host", b"localhost")
    assert (scope["state"], scope["scheme"], scope["server"]) == ({}, "http", None)


async def test_recorder() -> None:
    """The app's messages are kept; after them the client is gone."""
    recorder = ResponseRecorder(10)
    assert await recorder.receive() == {"type": "http.request", "body": b"", "more_body": False}
    gone = asyncio.create_task(recorder.receive())
    await recorder.send({"type": "http.response.start", "status": 200, "headers": [(b"A", b"b")]})
    await recorder.send({"type": "http.response.debug", "info": {}})
    await recorder.send({"type": "http.response.body", "body": b"ab", "more_body": True})
    await asyncio.sleep(0)
    assert not gone.done()
    await recorder.send({"type": "http.response.body", "body": b"cd"})
    await recorder.send({"type": "http.response.body", "body": b"late"})
    assert (recorder.status, recorder.headers, recorder.body) == (200, [(b"a", b"b")], b"abcd")
    assert await gone == {"type": "http.disconnect"}


async def test_recorder_limit() -> None:
    """A body above the limit ends the recording; no more than the limit is kept."""
    recorder = ResponseRecorder(3)
    await recorder.send({"type": "http.response.start", "status": 200})
    await recorder.send({"type": "http.response.body", "body": b"ab", "more_body": True})
    await recorder.send({"type": "http.response.body", "body": b"cd", "more_body": True})
    assert recorder.is_too_large
    assert recorder.ended.is_set()
    assert recorder.body == b"ab"
