import functools
from collections.abc import Callable
from typing import Any

import pytest

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.instance import FragmentDeclaration, MenuItem
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.service.declarations import Declarations


async def view() -> str:
    return ""


async def other() -> str:
    return ""


def decorated(function: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*arguments: Any) -> Any:
        return await function(*arguments)

    return wrapper


def test_fragment() -> None:
    """A declared fragment is told to the site with its imports and exports, and the function stays itself."""
    declarations = Declarations()
    declare = declarations.fragment("checkout", imports=["dob", "countryOrigin as country"], exports="zip")
    assert declare(view) is view
    expected = FragmentDeclaration(
        "checkout", (Binding("dob", "dob"), Binding("countryOrigin", "country")), (Binding("zip", "zip"),)
    )
    assert declarations.fragments == (expected,)
    found = declarations.find("checkout")
    assert found is not None
    assert (found.declaration, found.function, found.select, found.is_page) == (expected, view, None, False)
    assert declarations.find("other") is None


@pytest.mark.parametrize("ref", ["", "a b", "x" * 129, "a\n", '"', "é"])
def test_wrong_ref(ref: str) -> None:
    """A ref that no tag could name stops start-up."""
    with pytest.raises(ConfigurationError, match="a ref is"):
        Declarations().fragment(ref)


def test_wrong_names() -> None:
    """A wrong import list names its fragment."""
    with pytest.raises(ConfigurationError, match="fragment 'x': 'a b'"):
        Declarations().fragment("x", imports="a b")


def test_twice() -> None:
    """The same ref twice stops start-up with both functions named."""
    declarations = Declarations()
    declarations.fragment("x")(view)
    with pytest.raises(ConfigurationError, match=r"\.view and by .*\.Odd: give"):

        @declarations.fragment("x")
        class Odd: ...


def test_twice_by_an_object() -> None:
    """An object without a name is named by its class."""
    declarations = Declarations()
    declarations.fragment("x")(functools.partial(view))
    with pytest.raises(ConfigurationError, match=r"view and by functools\.partial"):
        declarations.fragment("x")(functools.partial(view))


def test_selector_is_checked() -> None:
    """A selector is checked when it is declared, where its author sees it."""

    def refuse(selector: str) -> None:
        raise ConfigurationError(selector)

    declarations = Declarations(check_selector=refuse)
    declarations.fragment("x")
    with pytest.raises(ConfigurationError, match="#a"):
        declarations.fragment("y", select="#a")


@pytest.mark.parametrize(
    ("select", "page", "only"),
    [(None, None, True), (None, True, False), (None, False, True), ("#a", None, False), ("#a", False, True)],
)
def test_fragment_only(select: str | None, page: bool | None, only: bool) -> None:
    """A fragment's route is no page, unless the fragment is taken out of a page or its author says so."""
    declarations = Declarations()
    declarations.fragment("x", select=select, page=page)(view)
    assert declarations.fragment_only(view) is only
    assert declarations.unpublished == ((view,) if only else ())


def test_fragment_only_is_about_the_function() -> None:
    """A function is hidden only if every fragment of it is no page; a function without one is a page."""
    declarations = Declarations()
    declarations.fragment("x")(view)
    declarations.fragment("y", page=True)(view)
    assert not declarations.fragment_only(view)
    assert not declarations.fragment_only(other)


def test_decorators_do_not_matter() -> None:
    """Other decorators above or below ours do not hide the function; it is called with those below."""
    declarations = Declarations()
    below = decorated(view)
    declarations.fragment("x")(below)
    found = declarations.find("x")
    assert found is not None
    assert (found.function, found.call) == (view, below)
    assert declarations.fragment_only(decorated(below))


def test_menu() -> None:
    """Menu items lead to the route of their function, or to the path given, in order."""
    declarations = Declarations()
    assert declarations.menu("main", label="Orders")(view) is view
    declarations.menu("main", path="/help")(other)
    paths = {view: "/orders"}
    assert declarations.menu_items(paths.get) == (MenuItem("main", "/orders", "Orders"), MenuItem("main", "/help", ""))


@pytest.mark.parametrize(("path", "reason"), [(None, "has no published route"), ("/x/{id}", "with parameters")])
def test_menu_without_a_path(path: str | None, reason: str) -> None:
    """A menu item that leads nowhere, or to a template, stops start-up with its function named."""
    declarations = Declarations()
    declarations.menu("main")(view)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        declarations.menu_items(lambda function: path)
    assert ".view" in str(caught.value)


def test_wrong_menu() -> None:
    """A menu's name and path are checked when they are declared."""
    with pytest.raises(ConfigurationError, match="a name is"):
        Declarations().menu("a b")
    with pytest.raises(ConfigurationError, match="starts with '/'"):
        Declarations().menu("main", path="orders")
