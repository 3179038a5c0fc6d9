"""What a service may be called, and where it may publish, beside what the wire allows everybody."""

from collections.abc import Callable, Mapping, Sequence

from hydra_asgi.core.admission.recent import Recent
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.errors import RefusedError
from hydra_asgi.ports import Clock

__all__ = ["NameRules"]

LAG_SECONDS = 10.0
"""The overview lags behind by up to a second; two spellings of one name may arrive within it."""

MAX_NAMES = 50_000


class NameRules:
    """Checks what is announced.

    Args:
        overview: the directory as this gateway sees it now.
        service_limits: service -> path prefixes; its routes must lie under one of them, by whole segments.
        clock: seconds that only move forward.
    """

    def __init__(
        self,
        overview: Callable[[], Overview],
        service_limits: Mapping[str, Sequence[str]] | None,
        clock: Clock,
    ) -> None:
        self._overview = overview
        self._limits = {service: tuple(prefixes) for service, prefixes in (service_limits or {}).items()}
        self._clock = clock
        self._taken: Recent[str, str] = Recent(seconds=LAG_SECONDS, size=MAX_NAMES)

    def take(self, name: str) -> None:
        """A service of that name was listed just now."""
        self._taken.put(name.casefold(), name, self._clock())

    def check(self, instance: ServiceInstance) -> None:
        """Decide about an instance.

        Raises:
            RefusedError: 409, another service's name differs from its own only by case; 403, it publishes where it may
                not.
        """
        self._check_name(instance.service)
        self._check_limits(instance)

    def _check_name(self, name: str) -> None:
        folded = name.casefold()
        listed = (service.name for service in self._overview().services if service.name.casefold() == folded)
        known = next(listed, None) or self._taken.get(folded, self._clock())
        if known is not None and known != name:
            raise RefusedError(409, f"{name!r} differs only by case from the known service {known!r}")

    def _check_limits(self, instance: ServiceInstance) -> None:
        prefixes = self._limits.get(instance.service)
        if prefixes is None:
            return
        for route in instance.routes:
            if not any(_is_under(route.template, prefix) for prefix in prefixes):
                raise RefusedError(
                    403, f"{instance.service!r} may only publish under {', '.join(prefixes)}, not {route.template!r}"
                )


def _is_under(template: str, prefix: str) -> bool:
    stem = prefix.rstrip("/")
    return template == stem or template.startswith(f"{stem}/")
