"""Services without sockets, for a user's own tests: their apps run in this process, and the site is made of them."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.service_name import ServiceNameError, check_service_name
from hydra_asgi.discovery.discover import discover
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.hydra import Hydra
from hydra_asgi.middleware import node_of
from hydra_asgi.node.stage import Stage
from hydra_asgi.testing.asgi_upstream import App, AsgiUpstream

__all__ = ["FakeServices", "fake_services"]


class FakeServices:
    """The services that `fake_services` made the site of.

    Args:
        apps: service -> its app.
        hydra: the node under test, which the services reach too.
    """

    def __init__(self, apps: Mapping[str, App], hydra: Hydra) -> None:
        self._apps = dict(apps)
        self._listening = {_address(service).netloc: app for service, app in apps.items()}
        self._listening[_own_address(hydra).netloc] = hydra.node.serve

    @property
    def upstream(self) -> AsgiUpstream:
        """Reaches those that are not stopped."""
        return AsgiUpstream(self._listening)

    def stop(self, service: str) -> None:
        """Let a service refuse connections, as one that has just crashed: it is still listed.

        Raises:
            ConfigurationError: there is no such service.
        """
        self._known(service)
        self._listening.pop(_address(service).netloc, None)

    def restart(self, service: str) -> None:
        """Let a service answer again.

        Raises:
            ConfigurationError: there is no such service.
        """
        self._listening[_address(service).netloc] = self._known(service)

    def _known(self, service: str) -> App:
        if service not in self._apps:
            known = ", ".join(self._apps)
            raise ConfigurationError(
                f"there is no service {service[:80]!r} on this stage; there are: {known or 'none'}"
            )
        return self._apps[service]


@contextlib.contextmanager
def fake_services(
    hydra: Hydra, services: Mapping[str, App], *, routes: Mapping[str, Sequence[str]] | None = None
) -> Iterator[FakeServices]:
    """Make a site of the app under test and of other apps in the same process.

    Meanwhile the node forwards to them and shows their fragments, all without sockets, background work or waiting. The
    site is complete from the start: what nobody publishes is the tested app's own 404. Works under Starlette's
    `TestClient`, under `httpx.ASGITransport` and under anything else that calls the app, also when that has started
    the app before.

    An app with a node of its own brings its routes, version, weight, menu entries and fragments, whatever role its
    options give it, and sees the same site. From any other app the routes are read, and it renders no fragments.
    The lifespans of the services are not run.

    Args:
        hydra: the node under test. Of two apps that publish the same route, this one's answers, then the earlier one.
        services: service name -> its ASGI app.
        routes: service name -> routes in the form of `Hydra(routes=...)`, for apps without a node whose routes cannot
            be read. Such an app answers everything if nothing is said here.

    Raises:
        ConfigurationError: a name cannot be used or does not fit the app's node, or what a service announces is wrong.
    """
    nodes = {service: node for service, app in services.items() if (node := node_of(app)) is not None}
    _check(hydra, services, nodes, routes or {})
    running = FakeServices(services, hydra)
    cast_: list[ServiceInstance] = []
    stage = Stage(running.upstream, lambda: (*_listed(hydra), *cast_))
    with contextlib.ExitStack() as staged:
        staged.enter_context(hydra.node.staged(stage, _own_address(hydra)))
        for service, app in services.items():
            node = nodes.get(service)
            if node is None:
                cast_.append(_bare(service, app, (routes or {}).get(service, ())))
            else:
                node.node.own.reveal(app)
                staged.enter_context(node.node.staged(stage, _address(service)))
                cast_.append(node.instance)
        yield running


def _check(
    hydra: Hydra, services: Mapping[str, object], nodes: Mapping[str, Hydra], routes: Mapping[str, object]
) -> None:
    for service in services:
        try:
            check_service_name(service)
        except ServiceNameError as error:
            raise ConfigurationError(f"services= {error}") from error
    for service, node in nodes.items():
        if node is hydra:
            raise ConfigurationError(f"services= names the app under test itself as {service!r}: leave it out")
        if node.options.service != service:
            raise ConfigurationError(
                f"services= has {service!r}, but that app joins the site as {node.options.service!r}: use that name"
            )
    for service in routes:
        if service not in services or service in nodes:
            raise ConfigurationError(
                f"routes= names {service[:80]!r}: expected one of the services that have no node of their own"
            )


def _listed(hydra: Hydra) -> tuple[ServiceInstance, ...]:
    """The app under test; not there while it has no name, or while nobody has called it, so that it is not known."""
    if not hydra.options.service:
        return ()
    try:
        return (hydra.instance,)
    except ConfigurationError:
        return ()


def _bare(service: str, app: object, routes: Sequence[str]) -> ServiceInstance:
    return ServiceInstance(service, _address(service), routes=discover(app, routes=routes).published, fragments=())


def _address(service: str) -> Address:
    """Names under `.test` belong to nobody (RFC 6761 section 6.2)."""
    return Address("http", f"{service}.test", 80)


def _own_address(hydra: Hydra) -> Address:
    """Another port than the services have: one of them may be another version of the same service."""
    return Address("http", f"{hydra.options.service or 'node'}.test", 8000)
