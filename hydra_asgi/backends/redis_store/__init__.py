"""The directory in Redis or Valkey, for any number of nodes on any number of machines: `RedisStore`."""

from hydra_asgi.backends.redis_store.store import RedisStore, open_redis_store
from hydra_asgi.backends.redis_store.target import RedisTarget, read_redis_url

__all__ = ["RedisStore", "RedisTarget", "open_redis_store", "read_redis_url"]
