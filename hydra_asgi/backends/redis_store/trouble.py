"""What the errors of Redis and of its client mean for an operator."""

from redis import exceptions

from hydra_asgi.backends.redis_store.target import RedisTarget
from hydra_asgi.errors import StoreError

__all__ = ["FOREIGN", "has_way_out", "leads_astray", "store_error"]

FOREIGN = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
"""Everything the client raises for a server that does not do what it should. Timeouts are OSErrors."""

_ACL = "docs/redis.md has the ACL line"

_SAID = {
    "OOM": "is full: it refuses to write. Give it more memory (maxmemory); what it holds goes on being served",
    "READONLY": "is a replica and takes no changes. Name the master, or Sentinels with redis+sentinel://",
    "MISCONF": "refuses to write because it cannot save to its disk; its own log says why",
    "NOREPLICAS": "refuses to write because too few replicas follow it (min-replicas-to-write)",
    "BUSY": "is busy with somebody's script; it is tried again",
    "LOADING": "is starting and still loads its data; it is tried again",
    "MASTERDOWN": "is a replica that has lost its master",
    "CLUSTERDOWN": "is a cluster in which some slots have no node",
    "WRONGPASS": "does not accept the user or the password of the store URL",
    "NOPERM": f"does not let our user do what we need; {_ACL}",
    "NOPROTO": "is too old: Redis 7.0 or Valkey is needed",
    "WRONGTYPE": "holds something else under one of our keys",
}
"""What answers mean that begin with such a word."""

_MEANT = (
    (exceptions.AuthenticationError, "does not accept the user or the password of the store URL"),
    (exceptions.NoPermissionError, _SAID["NOPERM"]),
    (exceptions.BusyLoadingError, _SAID["LOADING"]),
    (exceptions.ReadOnlyError, _SAID["READONLY"]),
    (exceptions.OutOfMemoryError, _SAID["OOM"]),
    (exceptions.ClusterDownError, _SAID["CLUSTERDOWN"]),
)
"""The client takes the word away from some answers, and makes a class of it."""


def store_error(error: BaseException, target: RedisTarget) -> StoreError:
    """Say in plain words what went wrong, and what to do."""
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return StoreError(f"{target} did not answer in time ({target.timeout:g} s)")
    said = str(error)
    # The first is what the client leaves of NOAUTH, the second what a long command is told by who does not know us.
    if "Authentication required" in said or "unauthenticated" in said:
        return StoreError(f"{target} wants a password: redis://user:password@host")
    for kind, meaning in _MEANT:
        if isinstance(error, kind):
            return StoreError(f"{target} {meaning}")
    if "Cluster mode is not enabled" in said:  # what the client makes of every refusal
        return StoreError(f"{target} is no cluster, or does not let our user ask for its slots; {_ACL}")
    meaning = _SAID.get(said.partition(" ")[0], "")
    if meaning:
        return StoreError(f"{target} {meaning}")
    if isinstance(error, exceptions.ConnectionError | exceptions.RedisClusterException | OSError):
        return StoreError(f"{target} cannot be reached: {said[:200]}")
    return StoreError(f"{target} refused: {said[:200]}")


def has_way_out(error: BaseException) -> bool:
    """Whether the caller can mend it: a script that the server does not have, a key that holds something else.

    Redis names the latter in the middle of the message when it happens inside a script.
    """
    if not isinstance(error, exceptions.ResponseError):
        return False
    return isinstance(error, exceptions.NoScriptError) or "WRONGTYPE" in str(error)


def leads_astray(error: BaseException) -> bool:
    """Whether the connections we have are no good: to nowhere, or to a server that is not the master any more."""
    return not isinstance(error, exceptions.ResponseError) or isinstance(error, exceptions.ReadOnlyError)
