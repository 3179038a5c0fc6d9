"""Store URLs of the Redis family."""

from pathlib import Path

import pytest

from hydra_asgi.backends.redis_store.target import RedisTarget, read_redis_url
from hydra_asgi.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("redis://cache", RedisTarget("redis", (("cache", 6379),))),
        ("redis://cache:7000/3", RedisTarget("redis", (("cache", 7000),), db=3)),
        ("redis://cache?db=3", RedisTarget("redis", (("cache", 6379),), db=3)),
        ("redis://[fd00::1]:7000", RedisTarget("redis", (("fd00::1", 7000),))),
        ("redis://[fd00::1]", RedisTarget("redis", (("fd00::1", 6379),))),
        ("redis://:p%40%2F%3A@cache", RedisTarget("redis", (("cache", 6379),), password="p@/:")),
        ("redis://site:a:b@cache", RedisTarget("redis", (("cache", 6379),), user="site", password="a:b")),
        ("redis://site:a@b@cache", RedisTarget("redis", (("cache", 6379),), user="site", password="a@b")),
        ("redis://cache?namespace=shop-2", RedisTarget("redis", (("cache", 6379),), namespace="shop-2")),
        ("redis://cache?timeout=1.5", RedisTarget("redis", (("cache", 6379),), timeout=1.5)),
        ("redis://cache?tls=yes", RedisTarget("redis", (("cache", 6379),), tls=True)),
        ("rediss://cache", RedisTarget("redis", (("cache", 6379),), tls=True)),
        ("unix:///run/redis.sock", RedisTarget("unix", path="/run/redis.sock")),
        ("unix://site:pw@/run/redis.sock?db=2", RedisTarget("unix", path="/run/redis.sock", db=2, user="site")),
        (
            "redis+sentinel://a,b:7000/site/1?sentinel_user=u&sentinel_password=p",
            RedisTarget("sentinel", (("a", 26379), ("b", 7000)), master="site", db=1, sentinel_user="u"),
        ),
        ("redis+cluster://a,b:7000", RedisTarget("cluster", (("a", 6379), ("b", 7000)))),
        ("redis+cluster://a/0?tls=1", RedisTarget("cluster", (("a", 6379),), tls=True)),
    ],
)
def test_every_form_is_read(url: str, target: RedisTarget) -> None:
    """One server, with TLS, over a Unix socket, through Sentinels, a cluster."""
    read = read_redis_url(url)
    for name in RedisTarget.__slots__:
        if "password" not in name or getattr(target, name):
            assert getattr(read, name) == getattr(target, name), name


def test_certificates_are_files_that_are_there(tmp_path: Path) -> None:
    """What to trust, and who we are; a file that is missing is noticed before anything is connected."""
    pem = tmp_path / "a.pem"
    pem.touch()
    target = read_redis_url(f"rediss://cache?ca={pem}&certificate={pem}&key={pem}")
    assert (target.ca, target.certificate, target.key) == (str(pem),) * 3
    with pytest.raises(ConfigurationError, match=r"there is no file '/no/where.pem' for ca"):
        read_redis_url("rediss://cache?ca=/no/where.pem")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://cache", r"begins with 'http': expected one of redis://, rediss://"),
        ("redis:cache", r"begins with 'redis:cache'"),
        ("redis://", r"a host name is missing .* \(its form is redis://host:6379/0\)"),
        ("redis://a b", r"a host name is missing or has characters"),
        ("redis://cache:0", r"a port is not a number from 1 to 65535"),
        ("redis://cache:99999999", r"a port is not a number"),
        ("redis://cache:x", r"a port is not a number"),
        ("redis://a,b", r"names several servers; several Sentinels are redis\+sentinel://"),
        ("redis://cache/x", r"the database 'x' is not a number"),
        ("redis://cache/1/2", r"more than one database"),
        ("redis://cache/1?db=1", r"more than one database"),
        ("redis://cache#1", r"contains '#'; in a password write %23"),
        ("redis://cache?retries=4", r"there is no option 'retries'; there are ca, certificate, db"),
        ("redis://cache?timeout=1&timeout=2", r"timeout is given twice"),
        ("redis://cache?timeout=0", r"the timeout '0' is not a number of seconds from 0.01 to 10"),
        ("redis://cache?timeout=nan", r"the timeout 'nan'"),
        ("redis://cache?timeout=x", r"the timeout 'x'"),
        ("redis://cache?namespace=", r"the namespace ''"),
        ("redis://cache?namespace=a{b}", r"the namespace 'a\{b\}' is not 1 to 64 letters"),
        ("redis://cache?tls=perhaps", r"tls is 'perhaps', not yes or no"),
        ("redis://cache?ca=/dev/../etc/passwd", r"names certificates, but the connection has no TLS"),
        ("rediss://cache?key=/etc/passwd", r"names a key without a certificate"),
        ("redis://cache?sentinel_user=x", r"names a user for Sentinels, but no Sentinels"),
        ("unix://run/redis.sock", r"a path from the root has to follow"),
        ("unix:///", r"a path from the root has to follow"),
        ("unix:///run/redis.sock?tls=yes", r"a Unix socket has no TLS"),
        ("redis+sentinel://a,b", r"the name of the master is missing"),
        ("redis+sentinel:///site", r"a host name is missing"),
        ("redis+cluster://a/1", r"a cluster has no database 1, only 0: use namespace="),
        ("redis+cluster://a,", r"a host name is missing"),
    ],
)
def test_mistakes_are_named_with_the_way_out(url: str, reason: str) -> None:
    """Whoever mistyped a URL reads what is wrong with it."""
    with pytest.raises(ConfigurationError, match=reason):
        read_redis_url(url)


@pytest.mark.parametrize("rest", ["cache:x", "cache?namespace=", "ca che", "a,b", "cache/1/2", "cache#"])
@pytest.mark.parametrize("secret", ["hunter2", "hunter2/with/slashes", "hunter2?with", "hunter2#with"])
def test_a_password_is_never_shown(rest: str, secret: str) -> None:
    """Not in errors, also when it was not escaped, and not in what a target shows."""
    with pytest.raises(ConfigurationError) as wrong:
        read_redis_url(f"redis://site:{secret}@{rest}")
    assert "hunter2" not in str(wrong.value)
    target = read_redis_url("redis+sentinel://site:hunter2@a/site?sentinel_password=hunter2")
    assert "hunter2" not in f"{target} {target!r}"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://u:p@cache", "Redis at cache:6379"),
        ("unix:///run/redis.sock", "Redis at /run/redis.sock"),
        ("redis+sentinel://a,b/site", "Redis 'site' of the Sentinels at a:26379, b:26379"),
        ("redis+cluster://a,b", "the Redis cluster at a:6379, b:6379"),
    ],
)
def test_a_target_says_where_it_is(url: str, text: str) -> None:
    """Messages name the server."""
    assert str(read_redis_url(url)) == text
