"""The path of a request below the mount point."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.routing.own_path import own_path, own_raw_path, quoted


@pytest.mark.parametrize(
    ("root", "path", "own"),
    [
        ("", "/a", "/a"),
        ("/sub", "/sub/a", "/a"),
        ("/sub/", "/sub/a", "/a"),
        ("/sub", "/sub", ""),
        ("/sub", "/sub/", "/"),
        ("/sub", "/a", "/a"),
        ("/sub", "/subway", "/subway"),
        ("/sü b", "/sü b/ä", "/ä"),
    ],
)
def test_the_mount_point_is_taken_off(root: str, path: str, own: str) -> None:
    """Whether a server counts the mount point into the path or not, it is off, by whole segments."""
    scope = {"path": path, "root_path": root, "raw_path": quoted(path)}
    assert own_path(scope) == own
    assert own_raw_path(scope) == quoted(own)
    assert own_raw_path({"path": path, "root_path": root}) == quoted(own)
    assert own_raw_path({"path": path, "root_path": root, "raw_path": None}) == quoted(own)


def test_without_a_mount_point() -> None:
    """A scope need not have one."""
    assert own_path({"path": "/a"}) == "/a"
    assert own_raw_path({"path": "/a", "raw_path": b"/a"}) == b"/a"


def test_bytes_stay() -> None:
    """What the client escaped stays escaped, and escaped slashes are no borders."""
    scope = {"path": "/sub/a/b", "root_path": "/sub", "raw_path": b"/sub/a%2Fb"}
    assert own_raw_path(scope) == b"/a%2Fb"
    assert own_raw_path({**scope, "raw_path": b"/sub%2Fa"}) == b"/sub%2Fa"


@given(st.text(alphabet=st.characters(codec="utf-8")).map(lambda text: f"/{text}"))
def test_quoting_is_undone_by_decoding(path: str) -> None:
    """A path that is encoded again means the same."""
    from urllib.parse import unquote

    assert unquote(quoted(path).decode("ascii")) == path
