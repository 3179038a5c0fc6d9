"""What it costs to find the owner of a path, in small directories and large ones, and to pick an instance of it."""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.in_process import Case, cpu_micros
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.raw_path import split_raw_path
from hydra_asgi.core.routing.route_table import RouteTable

__all__ = ["cases"]

_PATH = b"/service1/items3/77/edit"


def cases() -> list[Case]:
    """The figures of this module."""
    small, large = _directory(2, 10), _directory(200, 10_000)
    few, many = (_matching(RouteTable.build(instances)) for instances in (small, large))
    lone, crowd = Group.build(small[:1]), Group.build(_copies(10))
    return [
        Case("match/split", "take a path apart", "us", lambda: cpu_micros(_splitting)),
        Case("match/10", "match a path, 10 routes of 2 services", "us", lambda: cpu_micros(few)),
        Case("match/10000", "match a path, 10,000 routes of 200 services", "us", lambda: cpu_micros(many)),
        Case(
            "match/ratio", "the large directory as a multiple", "x", lambda: cpu_micros(many) / cpu_micros(few), "1.5"
        ),
        Case("match/build", "compile 10,000 routes", "ms", lambda: cpu_micros(_building(large)) / 1e3, "200"),
        Case("match/rebuild", "compile them again, one service has changed", "ms", _rebuilding(large)),
        Case("pick/1", "pick of 1 instance", "us", lambda: cpu_micros(_picking(lone))),
        Case("pick/10", "pick of 10 instances in 2 versions", "us", lambda: cpu_micros(_picking(crowd))),
    ]


def _directory(services: int, routes: int) -> list[ServiceInstance]:
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


def _copies(count: int) -> list[ServiceInstance]:
    """Instances of one service, in two versions."""
    return [
        ServiceInstance("one", Address("http", "127.0.0.1", 10_000 + number), version=number % 2, token=number + 1)
        for number in range(count)
    ]


def _matching(table: RouteTable) -> Callable[[int], None]:
    segments = split_raw_path(_PATH)
    if table.match(segments, "GET") is None:
        raise AssertionError(f"{_PATH!r} has to be a route of the directory")

    def work(count: int) -> None:
        for _ in range(count):
            table.match(segments, "GET")

    return work


def _splitting(count: int) -> None:
    for _ in range(count):
        split_raw_path(_PATH)


def _building(instances: list[ServiceInstance]) -> Callable[[int], None]:
    def work(count: int) -> None:
        for _ in range(count):
            RouteTable.build(instances)

    return work


def _rebuilding(instances: list[ServiceInstance]) -> Callable[[], float]:
    table = RouteTable.build(instances)

    def work(count: int) -> None:
        for _ in range(count):
            RouteTable.build([*instances[1:], replace(instances[0], version=1)], before=table)

    return lambda: cpu_micros(work) / 1e3


def _picking(group: Group) -> Callable[[int], None]:
    def work(count: int) -> None:
        for number in range(count):
            group.pick(f"key{number}")

    return work
