"""The site that most scenarios do harm to."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.faults.fleet import Fleet
from tests.faults.redis_server import RedisServer

__all__ = ["hub_on_redis"]


@contextlib.contextmanager
def hub_on_redis(
    folder: Path, *, keeps: bool = False, options: Mapping[str, str] | None = None
) -> Iterator[tuple[RedisServer, Fleet]]:
    """Two gateways on one Redis, with two instances of a service that all of them serve.

    Args:
        folder: for everybody's files.
        keeps: see `RedisServer`.
        options: of the Redis.
    """
    with RedisServer(folder, keeps=keeps, options=options) as redis, Fleet(folder, redis.url) as fleet:
        fleet.hub()
        yield redis, fleet
