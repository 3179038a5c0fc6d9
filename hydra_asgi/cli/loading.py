"""Loads an app by the name that servers use too: `module:attribute`."""

import importlib
import os
import sys

__all__ = ["LoadError", "load_app"]


class LoadError(Exception):
    """An app cannot be loaded; the text says which, why, and what to do."""


def load_app(name: str) -> object:
    """Load `package.module:app`, or `package.module:create_app()` for a function that makes the app.

    The current directory is searched first, as servers do.

    Raises:
        LoadError: there is no such module or attribute, or loading it failed.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise LoadError(f"--app {name[:120]!r} is not 'module:attribute', such as 'shop.main:app'")
    found: object = _load_module(module_name)
    is_factory = attribute.endswith("()")
    for part in attribute.removesuffix("()").split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise LoadError(
                f"--app {name[:120]!r}: {module_name!r} has no {part!r}, its names are {_names(found)}"
            ) from None
    if not callable(found):
        raise LoadError(f"--app {name[:120]!r} is a {type(found).__name__}, expected an ASGI app")
    return _make(name, found) if is_factory else found


def _load_module(name: str) -> object:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise LoadError(f"importing {name[:120]!r} failed: {error}; install what it needs") from error
        raise LoadError(
            f"there is no module {name[:120]!r}: run from the directory that holds {error.name!r}, or set PYTHONPATH"
        ) from error
    except Exception as error:
        raise LoadError(f"importing {name[:120]!r} failed: {type(error).__name__}: {error}") from error


def _make(name: str, factory: object) -> object:
    try:
        made: object = factory()  # type: ignore[operator]  # checked by the caller
    except Exception as error:
        raise LoadError(f"--app {name[:120]!r}: the call failed: {type(error).__name__}: {error}") from error
    return made


def _names(found: object) -> str:
    names = [name for name in dir(found) if not name.startswith("_")]
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "none"
