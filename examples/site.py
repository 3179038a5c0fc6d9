"""What the processes of the example site agree on: names, ports, and the demo key and secret.

Every process takes key and secret from here, so an instance that is started again by hand joins the running site
without any further option. `HYDRA_KEY` and `HYDRA_SECRET` win.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["BRAND", "HOST", "ORDERS", "PORT", "SHOP", "WEIGHTS", "Member", "membership", "origin", "plan"]

BRAND = "Tidekiln"
HOST = "127.0.0.1"
PORT = 8000
SHOP = "shop"
ORDERS = "orderService"
WEIGHTS = {1: 90, 2: 10}
"""The weight of each version of the order service: nine users out of ten see version 1."""

_DEMO_KEY = "tidekiln-demo"
_DEMO_SECRET = "known-to-everybody-so-for-this-machine-only"  # noqa: S105 - a demo's, it guards a loopback port


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the site.

    Attributes:
        service: the name it joins under.
        version: which version of the service it runs.
        port: where it listens, on `HOST`.
        module: what `python -m` starts.
        arguments: the options it is started with, apart from the port.
    """

    service: str
    version: int
    port: int
    module: str
    arguments: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """What starts it, as a person would type it."""
        return shlex.join(("python", *self.options))

    @property
    def options(self) -> tuple[str, ...]:
        """What the interpreter is started with."""
        return ("-m", self.module, "--port", str(self.port), *self.arguments)

    def __str__(self) -> str:
        return f"{self.service} version {self.version} ({origin(self.port)}/)"


def origin(port: int) -> str:
    """The address of the process that listens on a port."""
    return f"http://{HOST}:{port}"


def membership(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for `Hydra`, completed with the site's key and secret."""
    return {
        "key": os.environ.get("HYDRA_KEY") or _DEMO_KEY,
        "secret": os.environ.get("HYDRA_SECRET") or _DEMO_SECRET,
        **options,
    }


def plan(port: int = PORT, store: str = "memory://") -> tuple[Member, ...]:
    """The whole site: the shop on `port`, then the order service's versions on the ports that follow."""
    shop = Member(SHOP, 1, port, "examples.fastapi_app", ("--store", store))
    orders = (
        Member(
            ORDERS,
            version,
            port + version,
            "examples.quart_app",
            ("--version", str(version), "--weight", str(weight), "--gateway", origin(port)),
        )
        for version, weight in WEIGHTS.items()
    )
    return (shop, *orders)
