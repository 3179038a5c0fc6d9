"""Which library stands behind which store URL. Each is imported only when it is asked for."""

import logging
from collections.abc import Callable

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.ports import Store

__all__ = ["open_store"]

_logger = logging.getLogger("hydra_asgi.directory")


def open_store(url: str, *, on_alarm: Callable[[str], None] = _logger.error, may_create: bool = True) -> Store:
    """The store that a URL names. Nothing is connected and no file is opened before the first verb.

    Args:
        url: `memory://`, `sqlite:///path/site.db`, `redis://host:6379/0` or one of its kin.
        on_alarm: called with one sentence when most instances go silent at once.
        may_create: whether a file that is not there is made; else the first verb fails.

    Raises:
        ConfigurationError: the URL cannot be used, or the library it needs is not installed.
    """
    scheme = url.partition(":")[0]
    if scheme == "memory":
        return MemoryStore(on_alarm=on_alarm)
    if scheme == "sqlite":
        from hydra_asgi.backends.sqlite_store import open_sqlite_store

        return open_sqlite_store(url, on_alarm=on_alarm, may_create=may_create)
    try:
        from hydra_asgi.backends.redis_store import open_redis_store
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise ConfigurationError(f'a store of {scheme}:// needs redis: pip install "hydra-asgi[redis]"') from error
    return open_redis_store(url, on_alarm=on_alarm)
