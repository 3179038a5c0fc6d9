"""What a route match costs in a large directory, against a small one: `python benchmarks/match.py`.

The bar: a match among 10,000 routes of 200 services costs at most 1.5 times one among 10 routes of 2 services, and
compiling the large table takes at most 200 ms. The two tables take turns, and the best round of each counts, because
whatever else runs on the machine only ever adds time.
"""

import sys
from time import perf_counter

from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.core.routing.route_table import RouteTable

ROUNDS = 30
MATCHES = 5_000
PATH = ("service1", "items3", "77", "edit")


def directory(services: int, routes: int) -> list[ServiceInstance]:
    """One instance for each service, with `routes` routes in all."""
    return [
        ServiceInstance(
            f"service{number}",
            Address("http", "127.0.0.1", 10_000 + number),
            routes=tuple(
                Route(f"/service{number}/items{item}/{{id:int}}/edit", frozenset({"GET", "POST"}))
                for item in range(routes // services)
            ),
            token=1_000_000_000 + number,
            order=number,
        )
        for number in range(services)
    ]


def match_seconds(table: RouteTable) -> float:
    """The seconds of one match, over one round."""
    start = perf_counter()
    for _ in range(MATCHES):
        table.match(PATH, "GET")
    return (perf_counter() - start) / MATCHES


def build_seconds(instances: list[ServiceInstance]) -> float:
    """The seconds of compiling one directory."""
    start = perf_counter()
    RouteTable.build(instances)
    return perf_counter() - start


def main() -> None:
    """Print the ratio and the time of compiling."""
    small, large = directory(2, 10), directory(200, 10_000)
    tables = RouteTable.build(small), RouteTable.build(large)
    rounds = [tuple(match_seconds(table) for table in tables) for _ in range(ROUNDS)]
    best_small, best_large = (min(column) for column in zip(*rounds, strict=True))
    build = min(build_seconds(large) for _ in range(10))
    sys.stdout.write(
        f"match   10 routes: {best_small * 1e6:.2f} us   10,000 routes: {best_large * 1e6:.2f} us\n"
        f"ratio   {best_large / best_small:.2f} (bar: 1.5)\n"
        f"build   {build * 1e3:.0f} ms for 10,000 routes (bar: 200)\n"
    )


if __name__ == "__main__":
    main()
