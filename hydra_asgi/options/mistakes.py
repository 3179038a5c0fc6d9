"""What all readers share: how a wrong value is told, and how text and a list are written."""

from collections.abc import Sequence

from hydra_asgi.errors import ConfigurationError

__all__ = ["read_items", "read_text", "wrong"]


def wrong(origin: str, value: object, expected: str) -> ConfigurationError:
    """The error about a value that cannot be used."""
    return ConfigurationError(f"{origin} is {str(value)[:120]!r}: expected {expected}")


def read_text(value: object, origin: str) -> str:
    """Text that was given as text. A number in its place is most likely one that lost its quotes, and its zeros.

    Raises:
        ConfigurationError: it is something else. The message does not show it, because it may be a secret.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{origin} is of the type {type(value).__name__}: expected text; in a file, in quotes")
    return value


def read_items(value: object, origin: str) -> tuple[str, ...]:
    """The items of a list, or of text with commas; those that are empty are left out.

    Raises:
        ConfigurationError: it is neither, or an item is no text.
    """
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence):
        raise wrong(origin, value, "a list, or text separated by commas")
    for item in value:
        if not isinstance(item, str):
            raise wrong(origin, item, "text for each item; in a file, in quotes")
    return tuple(item.strip() for item in value if item.strip())
