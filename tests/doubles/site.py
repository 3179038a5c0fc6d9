"""A node under test and the site around it: a store whose time stands still, services in the same process."""

from collections.abc import Sequence
from typing import Any

from hydra_asgi import Hydra
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.instance import Address, FragmentDeclaration, Route, RouteKind, ServiceInstance
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.ports import LeaseState
from hydra_asgi.testing import AsgiUpstream
from tests.doubles.prober import FakeProber

__all__ = ["KEY", "SECRET", "Echo", "Site", "routes"]

KEY = "site"
SECRET = "the secret of the site"


def routes(*templates: str) -> tuple[Route, ...]:
    """Routes for any method: `/x`, or `WEBSOCKET /x`."""
    return tuple(
        Route(template.removeprefix("WEBSOCKET "), kind=RouteKind.WEBSOCKET)
        if template.startswith("WEBSOCKET ")
        else Route(template)
        for template in templates
    )


class Echo:
    """A service that answers everything with its name, and remembers what it was asked."""

    def __init__(self, name: str, headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"text/plain"),)) -> None:
        self.name = name
        self.scopes: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self._headers = list(headers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.scopes.append(scope)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self.name.encode()})

    def header(self, name: bytes) -> bytes | None:
        """A field of the last request."""
        return next((value for key, value in self.scopes[-1]["headers"] if key == name), None)


class Site:
    """Makes a node that keeps its directory in `store` and reaches `apps`, by `host:port`.

    Args:
        options: of the node.
    """

    def __init__(self, **options: Any) -> None:
        self.time = 1000.0
        self.store = MemoryStore(lambda: self.time, epoch="e")
        self.apps: dict[str, Any] = {}
        self.prober = FakeProber()
        self.hydra = Hydra(
            **{
                "key": KEY,
                "secret": SECRET,
                "store": self.store,
                "upstream": AsgiUpstream(self.apps),
                "prober": self.prober,
                **options,
            }
        )

    @property
    def directory(self) -> Directory:
        """Of the node, which has to run."""
        parts = self.hydra.running
        assert parts is not None
        assert parts.directory is not None
        return parts.directory

    async def add(
        self,
        service: str,
        app: Any,
        *templates: str,
        version: int = 1,
        weight: float = 10.0,
        fragments: Sequence[str] = (),
    ) -> ServiceInstance:
        """List a service and let its app stand for it."""
        address = Address("http", f"{service}-{version}", 80)
        instance = ServiceInstance(
            service,
            address,
            version,
            weight,
            routes=routes(*templates),
            fragments=tuple(map(FragmentDeclaration, fragments)),
        )
        self.apps[address.netloc] = app
        return await self.store.register(instance, LeaseState(str(address), service, signed=True))

    async def remove(self, instance: ServiceInstance) -> None:
        """Take it from the list, as its leaving does."""
        await self.store.release(str(instance.address), instance.service)

    async def refresh(self) -> None:
        """Let the node see the list now."""
        await self.directory.refresh()
