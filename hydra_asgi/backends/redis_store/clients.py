"""Makes the library's client for a target: one server, the master that Sentinels name, or a cluster."""

from typing import Any

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hydra_asgi.backends.redis_store.target import RedisTarget

__all__ = ["Client", "open_client", "open_sentinel"]

Client = Redis | RedisCluster


def open_client(target: RedisTarget, sentinel: Sentinel | None, connections: int) -> Client:
    """A client that connects when it is used.

    Args:
        target: where to.
        sentinel: who names the master, for a target of that kind.
        connections: at most so many, to each server.
    """
    most: dict[str, Any] = {"max_connections": connections}
    login: dict[str, Any] = {"username": target.user or None, "password": target.password or None}
    if target.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in target.hosts]
        # Once more: after a failover the cluster answers where the slot is now.
        return RedisCluster(startup_nodes=nodes, **most, **login, **_common(target, 1))
    if sentinel is not None:
        # `_common` again: the class's own default would retry for minutes.
        master: Redis = sentinel.master_for(target.master, db=target.db, **most, **login, **_common(target, 0))
        return master
    place: dict[str, Any] = {"unix_socket_path": target.path}
    if target.kind != "unix":
        place = {"host": target.hosts[0][0], "port": target.hosts[0][1]}
    return Redis(**place, db=target.db, **most, **login, **_common(target, 0))


def open_sentinel(target: RedisTarget) -> Sentinel | None:
    """Who names the master; None where nobody has to be asked."""
    if target.kind != "sentinel":
        return None
    login = {"username": target.sentinel_user or None, "password": target.sentinel_password or None}
    return Sentinel(target.hosts, sentinel_kwargs={**login, **_common(target, 0)})  # type: ignore[no-untyped-call]  # so there


def _common(target: RedisTarget, retries: int) -> dict[str, Any]:
    """What holds for every connection. The second protocol is enough, and says less."""
    common: dict[str, Any] = {
        "protocol": 2,
        "driver_info": None,
        "socket_timeout": target.timeout,
        "socket_connect_timeout": target.timeout,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), retries),
    }
    if target.tls:
        common |= {
            "ssl": True,
            "ssl_ca_certs": target.ca or None,
            "ssl_certfile": target.certificate or None,
            "ssl_keyfile": target.key or None,
        }
    return common
