"""What the functions of an app are for the site: fragments and menu items, as their decorators say.

A decorator returns its function unchanged, so it works above and below the framework's own. Which route a function
has is asked later, when the app is complete.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from hydra_asgi.core.binding import Binding, parse_bindings
from hydra_asgi.core.instance import FragmentDeclaration, MenuItem
from hydra_asgi.core.routing.endpoint import original
from hydra_asgi.errors import BindingError, ConfigurationError

__all__ = ["Declarations", "DeclaredFragment"]

_REF = re.compile(r"[A-Za-z0-9._~:/-]{1,128}")
"""What a page may write into a tag's `ref`."""

_MENU = re.compile(r"[A-Za-z0-9._~-]{1,64}")

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class DeclaredFragment:
    """One fragment of this app.

    Attributes:
        declaration: what the site is told.
        function: the function its author wrote, by which its route is found.
        call: what to call when it is no route: with the decorators below ours.
        select: a CSS selector: the fragment is that element of the page its route answers with.
        is_page: its route is a page too and is published.
    """

    declaration: FragmentDeclaration
    function: object
    call: Callable[..., object]
    select: str | None = None
    is_page: bool = False


@dataclass(frozen=True, slots=True)
class _DeclaredMenuItem:
    menu: str
    label: str
    path: str | None
    function: object


class Declarations:
    """The fragments and menu items of one app, in the order of their declaration.

    Args:
        check_selector: raises ConfigurationError for a CSS selector that cannot be used.
    """

    def __init__(self, *, check_selector: Callable[[str], None] | None = None) -> None:
        self._check_selector = check_selector
        self._fragments: dict[str, DeclaredFragment] = {}
        self._menu_items: list[_DeclaredMenuItem] = []

    def fragment(
        self,
        ref: str,
        *,
        imports: str | Iterable[str] = (),
        exports: str | Iterable[str] = (),
        select: str | None = None,
        page: bool | None = None,
    ) -> Callable[[F], F]:
        """Declare that a function renders a fragment: a route of the app, or a plain async function.

        Args:
            ref: how pages name it.
            imports: names it may see of a core page, `"dob"` or `"countryOrigin as country"`.
            exports: names it gives to a core page.
            select: take this element (a CSS selector) out of the page that the route answers with.
            page: whether its route is a page of its own, to be published. Left open: only with `select`.

        Raises:
            ConfigurationError: the ref, a name or the selector cannot be used, or the ref is taken.
        """
        if _REF.fullmatch(ref) is None:
            raise ConfigurationError(
                f"fragment {ref[:80]!r}: a ref is 1 to 128 letters, digits and '.', '_', '~', ':', '/', '-'"
            )
        declaration = FragmentDeclaration(ref, _bindings(ref, imports), _bindings(ref, exports))
        if select is not None and self._check_selector is not None:
            self._check_selector(select)
        is_page = page if page is not None else select is not None

        def declare(function: F) -> F:
            known = self._fragments.get(ref)
            if known is not None:
                raise ConfigurationError(
                    f"fragment {ref!r} is declared twice, by {_name(known.function)} and by {_name(function)}: "
                    "give one of them another ref"
                )
            self._fragments[ref] = DeclaredFragment(declaration, original(function), function, select, is_page)
            return function

        return declare

    def menu(self, name: str, *, label: str = "", path: str | None = None) -> Callable[[F], F]:
        """Declare that a route has an entry in a menu of the site.

        Args:
            name: the menu.
            label: the words to show; empty: the path.
            path: where it leads, as the site sees it; None: the path of the decorated route.

        Raises:
            ConfigurationError: the menu's name or the path cannot be used.
        """
        if _MENU.fullmatch(name) is None:
            raise ConfigurationError(f"menu {name[:80]!r}: a name is 1 to 64 letters, digits and '.', '_', '~', '-'")
        if path is not None and not path.startswith("/"):
            raise ConfigurationError(f"menu {name!r}: path= is {path[:80]!r}, expected one that starts with '/'")

        def declare(function: F) -> F:
            self._menu_items.append(_DeclaredMenuItem(name, label, path, original(function)))
            return function

        return declare

    @property
    def fragments(self) -> tuple[FragmentDeclaration, ...]:
        """What the site is told about this app's fragments."""
        return tuple(declared.declaration for declared in self._fragments.values())

    def find(self, ref: str) -> DeclaredFragment | None:
        """The fragment of that name, or None."""
        return self._fragments.get(ref)

    def fragment_only(self, endpoint: object) -> bool:
        """Whether a function renders fragments and nothing else, so that its route is not published."""
        function = original(endpoint)
        uses = [declared.is_page for declared in self._fragments.values() if declared.function == function]
        return bool(uses) and not any(uses)

    @property
    def unpublished(self) -> tuple[object, ...]:
        """The functions that are only fragments, for route discovery."""
        functions = (declared.function for declared in self._fragments.values())
        return tuple(function for function in functions if self.fragment_only(function))

    def menu_items(self, path_of: Callable[[object], str | None]) -> tuple[MenuItem, ...]:
        """The app's entries in menus.

        Args:
            path_of: the path template at which the site reaches a function, None if it does not.

        Raises:
            ConfigurationError: an entry has no path, or its path has parameters.
        """
        return tuple(MenuItem(item.menu, _endpoint(item, path_of), item.label) for item in self._menu_items)


def _endpoint(item: _DeclaredMenuItem, path_of: Callable[[object], str | None]) -> str:
    path = item.path or path_of(item.function)
    if path is None:
        raise ConfigurationError(f"menu {item.menu!r}: {_name(item.function)} has no published route, give path=")
    if "{" in path:
        raise ConfigurationError(
            f"menu {item.menu!r}: the path of {_name(item.function)} is {path[:80]!r}, with parameters: give path="
        )
    return path


def _bindings(ref: str, names: str | Iterable[str]) -> tuple[Binding, ...]:
    try:
        return parse_bindings(names)
    except BindingError as error:
        raise ConfigurationError(f"fragment {ref!r}: {error}") from error


def _name(function: object) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', '')}"
