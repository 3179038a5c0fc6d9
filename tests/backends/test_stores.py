"""Which library stands behind which store URL."""

import builtins
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.backends.redis_store import RedisStore
from hydra_asgi.backends.sqlite_store import SqliteStore
from hydra_asgi.backends.stores import open_store
from hydra_asgi.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://", MemoryStore),
        ("sqlite:////nowhere/site.db", SqliteStore),
        ("redis://127.0.0.1:1/0", RedisStore),
        ("rediss://127.0.0.1:1", RedisStore),
        ("unix:///nowhere/redis.sock", RedisStore),
        ("redis+sentinel://127.0.0.1:1/site", RedisStore),
        ("redis+cluster://127.0.0.1:1", RedisStore),
    ],
)
async def test_stores(url: str, kind: type) -> None:
    """A URL names a store, which connects to nothing before it is asked something."""
    store = open_store(url)
    assert isinstance(store, kind)
    await store.close()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:port", "sqlite:", "redis://h?no_such_option=1"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    """What is wrong with a URL is said when it is opened."""
    with pytest.raises(ConfigurationError):
        open_store(url)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the way to get it is said; another missing module is a fault of the installation."""
    monkeypatch.setattr(builtins, "__import__", _without("redis"))
    with pytest.raises(ConfigurationError, match=r'redis\+sentinel:// needs redis: pip install "hydra-asgi\[redis\]"'):
        open_store("redis+sentinel://h/site")
    monkeypatch.setattr(builtins, "__import__", _without("something"))
    with pytest.raises(ModuleNotFoundError, match="something"):
        open_store("redis://h")


def _without(missing: str) -> Callable[..., Any]:
    real = builtins.__import__

    def importing(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "hydra_asgi.backends.redis_store":
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return real(name, *arguments, **options)

    return importing


async def test_alarms_reach_the_log(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """What a store calls alarming is an error in the log, unless somebody else is to hear it."""
    heard: list[str] = []
    usual, own = open_store("memory://"), open_store("memory://", on_alarm=heard.append)
    for store in (usual, own):
        assert isinstance(store, MemoryStore)
        assert store._on_alarm is not None
        store._on_alarm("many have gone silent")
    assert caplog.record_tuples == [("hydra_asgi.directory", logging.ERROR, "many have gone silent")]
    assert heard == ["many have gone silent"]
