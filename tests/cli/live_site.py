"""A site that commands can look at: a store in a file, with services that are kept alive."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hydra_asgi.backends.sqlite_store import open_sqlite_store
from hydra_asgi.cli import commands
from hydra_asgi.core.instance import Address, Route, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.ports import LeaseState, Store

__all__ = ["LiveSite", "instance", "site"]


def instance(service: str, port: int, version: int, *routes: Route | str, **more: Any) -> ServiceInstance:
    """An instance with these routes."""
    published = tuple(route if isinstance(route, Route) else Route(route) for route in routes)
    return ServiceInstance(service, Address("http", "10.0.0.1", port), version, routes=published, **more)


class LiveSite:
    """A store, what is registered there, and the command line beside it.

    Attributes:
        url: of the store.
        instances: beat before each command, so that a slow machine forgets none of them.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.instances: list[ServiceInstance] = []

    def ask(self, question: Callable[[Store], Awaitable[Any]]) -> Any:
        """Ask the store something."""

        async def asked() -> Any:
            store = open_sqlite_store(self.url, on_alarm=pytest.fail)
            try:
                for one in self.instances:
                    await store.register(one, LeaseState(str(one.address), one.service))
                return await question(store)
            finally:
                await store.close()

        return asyncio.run(asked())

    def add(self, *instances: ServiceInstance) -> None:
        """Register instances."""
        self.instances.extend(instances)

    def snapshot(self) -> Snapshot:
        """What the store says."""
        found: Snapshot = self.ask(lambda store: store.snapshot())
        return found

    def settings(self, service: str = "orders") -> ServiceSettings | None:
        """What is set for a service."""
        return self.snapshot().settings.get(service)

    def token(self, port: int) -> int:
        """The token of the instance behind a port."""
        return next(one.token for one in self.snapshot().instances if one.address.port == port)

    def call(self, *arguments: str) -> Result:
        """Run a command that looks into the store."""
        self.snapshot()
        return CliRunner().invoke(commands.application, arguments, env={"HYDRA_STORE": self.url})


@pytest.fixture
def site(tmp_path: Path) -> LiveSite:
    """A shop, two versions of orders, one of them with a drained instance, and something live."""
    made = LiveSite(f"sqlite:///{tmp_path}/site.db")
    made.add(
        instance("shop", 1, 1, "/", "/products/{id}", "/{rest:path}"),
        instance("orders", 2, 1, "/orders", "/orders/{id:int}"),
        instance("orders", 3, 2, "/orders", "/orders/{id:int}", "/orders/new"),
        instance("orders", 4, 2, "/orders", "/orders/{n:int}", weight=0.0),
    )
    return made
