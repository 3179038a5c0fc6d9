"""What the processes of the example site agree on: names, ports, and the demo key and secret.

Every process takes key and secret from here, so an instance that is started again by hand joins the running site
without any further option. `HYDRA_KEY` and `HYDRA_SECRET` win.
"""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "BRAND",
    "HOST",
    "MEMORY",
    "ORDERS",
    "PORT",
    "SHOP",
    "WEIGHTS",
    "Member",
    "membership",
    "origin",
    "plan",
    "shown",
]

BRAND = "Tidekiln"
HOST = "127.0.0.1"
PORT = 8000
MEMORY = "memory://"
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
        is_gateway: it lists the others, who are there once it does.
    """

    service: str
    version: int
    port: int
    module: str
    arguments: tuple[str, ...] = ()
    is_gateway: bool = False

    @property
    def command(self) -> str:
        """What starts it, as a person would type it; a password of the store is for that person to fill in."""
        return shlex.join(("python", *map(shown, self.options)))

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


def shown(text: str) -> str:
    """A URL without its password."""
    return re.sub(r"(://[^/@]*:)[^/@]*@", r"\1***@", text)


def plan(port: int = PORT, store: str = MEMORY) -> tuple[Member, ...]:
    """The whole site: the shop on `port`, then the order service's versions on the ports that follow.

    With a store that processes share, there are two shops on two ports. Both are gateways, and each version of the
    order service registers with another one of them.
    """
    shops = range(port, port + (1 if store == MEMORY else 2))
    gateways = [origin(number) for number in shops]
    return (
        *(Member(SHOP, 1, number, "examples.fastapi_app", ("--store", store), is_gateway=True) for number in shops),
        *(
            Member(
                ORDERS,
                version,
                shops.stop - 1 + version,
                "examples.quart_app",
                ("--version", str(version), "--weight", str(weight), *_at(gateways, version - 1)),
            )
            for version, weight in WEIGHTS.items()
        ),
    )


def _at(gateways: Sequence[str], first: int) -> Iterator[str]:
    """The options that name the gateways, beginning with another one for each instance."""
    for number in range(len(gateways)):
        yield "--gateway"
        yield gateways[(first + number) % len(gateways)]
