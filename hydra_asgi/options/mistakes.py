"""What all readers share: how a wrong value is told, and how a list is written."""

from collections.abc import Sequence

from hydra_asgi.errors import ConfigurationError

__all__ = ["read_items", "wrong"]


def wrong(origin: str, value: object, expected: str) -> ConfigurationError:
    """The error about a value that cannot be used."""
    return ConfigurationError(f"{origin} is {str(value)[:120]!r}: expected {expected}")


def read_items(value: object, origin: str) -> tuple[str, ...]:
    """The items of a list, or of text with commas; those that are empty are left out.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence):
        raise wrong(origin, value, "a list, or text separated by commas")
    return tuple(str(item).strip() for item in value if str(item).strip())
