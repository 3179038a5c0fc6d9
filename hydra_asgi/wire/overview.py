"""The overview on the wire: what a gateway tells the services of our own kind."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hydra_asgi.core.directory.overview import MenuEntry, Overview, ServiceView
from hydra_asgi.errors import HydraError

__all__ = ["OverviewError", "overview_value", "parse_overview"]


class OverviewError(HydraError, ValueError):
    """What a gateway sent is not an overview."""


class _Body(BaseModel):
    # Not strict: JSON has lists where our values have tuples. Unknown fields are a newer gateway's.
    model_config = ConfigDict(extra="ignore")


class _Entry(_Body):
    endpoint: str
    label: str
    service: str
    available: bool = True


class _Service(_Body):
    name: str
    available: bool = True
    versions: tuple[int, ...] = ()
    instances: Annotated[int, Field(ge=0)] = 0
    routes: tuple[str, ...] = ()


class _Overview(_Body):
    revision: str
    services: tuple[_Service, ...] = ()
    menus: dict[str, tuple[_Entry, ...]] = {}


def overview_value(overview: Overview) -> dict[str, object]:
    """An overview as JSON has it."""
    return {
        "revision": overview.revision,
        "services": [
            {
                "name": service.name,
                "available": service.available,
                "versions": list(service.versions),
                "instances": service.instances,
                "routes": list(service.routes),
            }
            for service in overview.services
        ],
        "menus": {
            menu: [
                {
                    "endpoint": entry.endpoint,
                    "label": entry.label,
                    "service": entry.service,
                    "available": entry.available,
                }
                for entry in entries
            ]
            for menu, entries in overview.menus.items()
        },
    }


def parse_overview(value: object) -> Overview:
    """Read an overview.

    Raises:
        OverviewError: it is none.
    """
    try:
        body = _Overview.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise OverviewError(f"overview: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return Overview(
        body.revision,
        tuple(ServiceView(s.name, s.available, s.versions, s.instances, s.routes) for s in body.services),
        {
            menu: tuple(MenuEntry(e.endpoint, e.label, e.service, e.available) for e in entries)
            for menu, entries in body.menus.items()
        },
    )
