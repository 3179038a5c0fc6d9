"""What errors of Redis are called."""

import pytest
from redis import exceptions

from hydra_asgi.backends.redis_store.target import read_redis_url
from hydra_asgi.backends.redis_store.trouble import FOREIGN, has_way_out, leads_astray, store_error

TARGET = read_redis_url("redis://site:hunter2@cache")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.TimeoutError("Timeout reading from cache"), "did not answer in time (0.25 s)"),
        (TimeoutError(), "did not answer in time (0.25 s)"),
        (exceptions.ConnectionError("Error 111 connecting"), "cannot be reached: Error 111 connecting"),
        (ConnectionRefusedError("refused"), "cannot be reached: refused"),
        (exceptions.RedisClusterException("no node"), "cannot be reached: no node"),
        (exceptions.AuthenticationError("invalid username"), "does not accept the user or the password"),
        (exceptions.AuthenticationError("Authentication required."), "wants a password"),
        (exceptions.ResponseError("NOAUTH Authentication required."), "wants a password"),
        (exceptions.ResponseError("Protocol error: unauthenticated multibulk length"), "wants a password"),
        (exceptions.NoPermissionError("this user has no permissions"), "docs/redis.md has the ACL line"),
        (exceptions.BusyLoadingError("Redis is loading"), "still loads its data"),
        (exceptions.ReadOnlyError("You can't write"), "is a replica"),
        (exceptions.OutOfMemoryError("command not allowed"), "is full"),
        (exceptions.ClusterDownError("CLUSTERDOWN Hash slot not served"), "some slots have no node"),
        (exceptions.ResponseError("MISCONF Redis is configured to save"), "cannot save to its disk"),
        (exceptions.ResponseError("NOREPLICAS Not enough"), "too few replicas"),
        (exceptions.ResponseError("BUSY Redis is busy"), "busy with somebody's script"),
        (exceptions.ResponseError("WRONGTYPE Operation"), "holds something else"),
        (exceptions.ResponseError("ERR something " + "x" * 500), "refused: ERR something xxx"),
    ],
)
def test_an_operator_reads_what_it_means(error: Exception, said: str) -> None:
    """Every error names the server and what to do, at a length that a log line can hold."""
    assert isinstance(error, FOREIGN)
    sentence = str(store_error(error, TARGET))
    assert sentence.startswith("Redis at cache:6379 ")
    assert said in sentence
    assert len(sentence) < 300
    assert "hunter2" not in sentence


def test_some_errors_can_be_mended() -> None:
    """A script that is gone, and a key that holds something else, also when Redis met it inside a script."""
    assert has_way_out(exceptions.NoScriptError("No matching script"))
    assert has_way_out(exceptions.ResponseError("WRONGTYPE Operation against a key script: 1f, on @user_script:3."))
    assert not has_way_out(exceptions.ResponseError("ERR no"))
    assert not has_way_out(exceptions.ConnectionError("WRONGTYPE"))


def test_some_errors_say_that_connections_are_no_good() -> None:
    """A refused write is no reason to connect anew, unless it says that the master is somewhere else."""
    assert leads_astray(exceptions.ConnectionError("gone"))
    assert leads_astray(TimeoutError())
    assert leads_astray(exceptions.ReadOnlyError("replica"))
    assert not leads_astray(exceptions.OutOfMemoryError("full"))
