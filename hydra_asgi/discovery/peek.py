"""Reads attributes of objects we know nothing about: any ASGI callable may sit in front of the app we look for.

A property, a proxy outside its context or a `__getattr__` may raise anything; for us that means "not there".
"""

__all__ = ["class_names", "peek"]


def peek(thing: object, name: str) -> object | None:
    """An attribute, or None when it is missing or cannot be read."""
    try:
        found: object = getattr(thing, name, None)
    except Exception:
        return None
    return found


def class_names(thing: object) -> frozenset[str]:
    """The names of an object's class and its bases, so that frameworks are recognised without importing them."""
    return frozenset(base.__name__ for base in type(thing).__mro__)
