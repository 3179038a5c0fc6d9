"""Changes central settings from what was read to what is wanted, without undoing what somebody else has just done."""

from collections.abc import Callable
from typing import Final

from hydra_asgi.cli.settings_words import settings_lines
from hydra_asgi.cli.shared_store import OvertakenError
from hydra_asgi.core.instance import Snapshot
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.ports import Store

__all__ = ["change_settings"]

_PARTS: Final[dict[str, Callable[[ServiceSettings], ServiceSettings]]] = {
    "shares": lambda settings: ServiceSettings(settings.shares, settings.policy),
    "conditions": lambda settings: ServiceSettings(conditions=settings.conditions),
    "prefixes": lambda settings: ServiceSettings(prefixes=settings.prefixes),
}
"""What is replaced as a whole, and apart from the rest."""


async def change_settings(
    store: Store, service: str, change: Callable[[ServiceSettings], ServiceSettings]
) -> tuple[Snapshot, ServiceSettings]:
    """Read the settings of a service, change them, and write them if they still are what was read; else begin again.

    Two operators who change different parts both get what they want. Of two who change the same part one is told.

    Args:
        store: where they are.
        service: whose they are.
        change: makes the new settings out of those that are there.

    Returns:
        The directory before the change, and the settings that count now.

    Raises:
        OvertakenError: somebody else has changed the same part in this moment.
    """
    first: ServiceSettings | None = None
    while True:
        snapshot = await store.snapshot()
        present = snapshot.settings.get(service, ServiceSettings())
        first = present if first is None else first
        wanted = change(present)
        _refuse_to_overwrite(service, first, present, wanted)
        if await store.configure(service, wanted, expected=present):
            return snapshot, wanted


def _refuse_to_overwrite(
    service: str, first: ServiceSettings, present: ServiceSettings, wanted: ServiceSettings
) -> None:
    for name, part in _PARTS.items():
        if part(first) != part(present) != part(wanted):
            now = ", ".join(" ".join(line) for line in settings_lines(part(present))) or "none"
            raise OvertakenError(
                f"somebody else has changed the {name} of {service} in this moment, now {now}: nothing was done. Look "
                f"with `hydra-asgi weights get {service}`, and repeat the call if it is still wanted"
            )
