"""Keeps the origin and the echo registered with our gateway, as a service's own process would."""

import asyncio
import os
from collections.abc import Sequence

from benchmarks.load import SIZES
from hydra_asgi.backends.httpx_upstream import HttpxUpstream
from hydra_asgi.backends.network_prober import NetworkProber
from hydra_asgi.core.instance import Address, Route, RouteKind, ServiceInstance
from hydra_asgi.service.registrar import Registrar

__all__: Sequence[str] = ()


def _instances() -> tuple[ServiceInstance, ...]:
    pages = (*(Route(path, frozenset({"GET"})) for path in SIZES), Route("/sink", frozenset({"POST"})))
    sockets = (Route("/echo", kind=RouteKind.WEBSOCKET),)
    return tuple(
        ServiceInstance(name, Address("http", "127.0.0.1", int(os.environ[port])), routes=routes)
        for name, port, routes in (("origin", "BENCH_ORIGIN", pages), ("echo", "BENCH_ECHO", sockets))
    )


def _registrar(instance: ServiceInstance) -> Registrar:
    return Registrar(
        lambda: instance,
        [f"http://127.0.0.1:{os.environ['BENCH_GATEWAY']}"],
        os.environ["BENCH_KEY"],
        os.environ["BENCH_SECRET"],
        HttpxUpstream(),
        NetworkProber(),
        on_overview=lambda overview: None,
    )


async def _main() -> None:
    await asyncio.gather(*(_registrar(instance).run() for instance in _instances()))


if __name__ == "__main__":
    asyncio.run(_main())
