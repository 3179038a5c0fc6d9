"""What a store URL of the Redis family says: which servers, how to reach them, and whose keys are ours.

redis://[user:password@]host[:6379][/0][?options]           one server
rediss://...                                                the same with TLS
unix:///run/redis.sock[?db=0]                               the same over a Unix socket
redis+sentinel://host[:26379],host2/name[/0]                the master that Sentinels name
redis+cluster://host[:6379],host2                           a cluster
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from hydra_asgi.errors import ConfigurationError

__all__ = ["RedisTarget", "read_redis_url"]

DEFAULT_TIMEOUT = 0.25
"""A Redis in the same data centre answers in a millisecond. The library's own default would wait for a minute."""

_FORMS = {
    "redis": "redis://host:6379/0",
    "rediss": "rediss://host:6379/0?ca=/etc/site/ca.pem",
    "unix": "unix:///run/redis.sock?db=0",
    "redis+sentinel": "redis+sentinel://host:26379,host2:26379/name/0",
    "redis+cluster": "redis+cluster://host:6379,host2:6379",
}
_PORTS = {"redis+sentinel": 26379}
_OPTIONS = ("ca", "certificate", "db", "key", "namespace", "sentinel_password", "sentinel_user", "timeout", "tls")
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.%]{2,64}\]")
_FLAGS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """Where the directory is kept.

    Attributes:
        kind: `redis`, `unix`, `sentinel` or `cluster`.
        hosts: servers, Sentinels or some nodes of the cluster, as host and port; empty for a Unix socket.
        path: of the Unix socket.
        master: the name under which Sentinels watch it.
        db: number of the database.
        user: who we are there; empty for the default user.
        password: of that user.
        sentinel_user: who we are at the Sentinels.
        sentinel_password: of that user.
        namespace: of our keys, so that several sites share one server.
        timeout: seconds to wait for a connection, and for each answer.
        tls: whether to encrypt.
        ca: a file of certificates to trust; empty for those of the system.
        certificate: a file with our own certificate; empty for none.
        key: a file with its private key; empty when the certificate's file holds it.
    """

    kind: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    master: str = ""
    db: int = 0
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    sentinel_user: str = field(default="", repr=False)
    sentinel_password: str = field(default="", repr=False)
    namespace: str = "hydra"
    timeout: float = DEFAULT_TIMEOUT
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""

    def __str__(self) -> str:
        """For messages: no user, no password."""
        if self.kind == "unix":
            return f"Redis at {self.path}"
        hosts = ", ".join(f"{host}:{port}" for host, port in self.hosts)
        return {
            "redis": f"Redis at {hosts}",
            "sentinel": f"Redis {self.master!r} of the Sentinels at {hosts}",
            "cluster": f"the Redis cluster at {hosts}",
        }[self.kind]


def read_redis_url(url: str) -> RedisTarget:
    """Read a store URL.

    Raises:
        ConfigurationError: names the part that is wrong and what was expected; never shows the password.
    """
    scheme, separator, rest = url.partition("://")
    form = _FORMS.get(scheme)
    if form is None or not separator:
        raise ConfigurationError(
            f"a store URL begins with {scheme[:40]!r}: expected one of {', '.join(name + '://' for name in _FORMS)}"
        )
    rest, _, query = rest.partition("?")
    if "#" in rest or "#" in query:
        raise _wrong(form, "it contains '#'; in a password write %23")
    login, _, rest = rest.rpartition("@")
    user, _, password = login.partition(":")
    options = _read_options(query, form)
    place, _, path = rest.partition("/")
    names = [unquote(part) for part in path.split("/")] if path else []
    target = RedisTarget(
        kind={"redis+sentinel": "sentinel", "redis+cluster": "cluster", "rediss": "redis"}.get(scheme, scheme),
        hosts=() if scheme == "unix" else _read_hosts(place, _PORTS.get(scheme, 6379), form),
        path=f"/{unquote(path)}" if scheme == "unix" else "",
        master=_read_master(names, form) if scheme == "redis+sentinel" else "",
        db=_read_db(scheme, names, options, form),
        user=unquote(user),
        password=unquote(password),
        sentinel_user=options.get("sentinel_user", ""),
        sentinel_password=options.get("sentinel_password", ""),
        namespace=_read_namespace(options.get("namespace", "hydra"), form),
        timeout=_read_timeout(options.get("timeout", ""), form),
        tls=scheme == "rediss" or _read_flag(options.get("tls", "no"), form),
        ca=_read_file("ca", options, form),
        certificate=_read_file("certificate", options, form),
        key=_read_file("key", options, form),
    )
    _check_whole(scheme, target, place, form)
    return target


def _check_whole(scheme: str, target: RedisTarget, place: str, form: str) -> None:
    """What only shows when all parts are known."""
    if scheme == "unix" and (place or len(target.path) < 2):
        raise _wrong(form, "a path from the root has to follow, with three slashes before it")
    if scheme == "unix" and target.tls:
        raise _wrong(form, "a Unix socket has no TLS: leave tls out")
    if scheme == "redis" and len(target.hosts) != 1:
        raise _wrong(
            form, "it names several servers; several Sentinels are redis+sentinel://, a cluster redis+cluster://"
        )
    if not target.tls and (target.ca or target.certificate or target.key):
        raise _wrong(form, "it names certificates, but the connection has no TLS: write rediss:// or tls=yes")
    if target.key and not target.certificate:
        raise _wrong(form, "it names a key without a certificate")
    if target.kind != "sentinel" and (target.sentinel_user or target.sentinel_password):
        raise _wrong(form, "it names a user for Sentinels, but no Sentinels")


def _wrong(form: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"the store URL cannot be used: {reason} (its form is {form})")


def _read_options(query: str, form: str) -> Mapping[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise _wrong(form, f"there is no option {name[:40]!r}; there are {', '.join(_OPTIONS)}")
        if name in options:
            raise _wrong(form, f"the option {name} is given twice")
        options[name] = value
    return options


def _read_hosts(place: str, default: int, form: str) -> tuple[tuple[str, int], ...]:
    return tuple(_read_host(item, default, form) for item in place.split(","))


def _read_host(item: str, default: int, form: str) -> tuple[str, int]:
    host, port = item, str(default)
    if not item.endswith("]") and ":" in item:
        host, _, port = item.rpartition(":")
    if _HOST.fullmatch(host) is None:
        # An unescaped `@` or `/` in a password ends up here, so nothing of it is shown.
        raise _wrong(form, "a host name is missing or has characters that none can have; in a password write %40 for @")
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise _wrong(form, "a port is not a number from 1 to 65535; in a password write %2F for / and %40 for @")
    return host.strip("[]"), int(port)


def _read_master(names: Sequence[str], form: str) -> str:
    if not names or not names[0]:
        raise _wrong(form, "the name of the master is missing behind the Sentinels")
    return names[0]


def _read_db(scheme: str, names: Sequence[str], options: Mapping[str, str], form: str) -> int:
    if scheme == "unix":
        names = []
    elif scheme == "redis+sentinel":
        names = names[1:]
    if len(names) > 1 or (names and names[0] and "db" in options):
        raise _wrong(form, "there is more than one database in it")
    text = options.get("db") or (names[0] if names else "") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise _wrong(form, f"the database {text[:40]!r} is not a number")
    if scheme == "redis+cluster" and int(text):
        raise _wrong(form, f"a cluster has no database {text}, only 0: use namespace=")
    return int(text)


def _read_namespace(text: str, form: str) -> str:
    if _NAMESPACE.fullmatch(text) is None:
        raise _wrong(form, f"the namespace {text[:64]!r} is not 1 to 64 letters, digits, '.', '_' or '-'")
    return text


def _read_timeout(text: str, form: str) -> float:
    try:
        seconds = float(text or DEFAULT_TIMEOUT)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds <= 10.0:
        raise _wrong(form, f"the timeout {text[:40]!r} is not a number of seconds from 0.01 to 10")
    return seconds


def _read_flag(text: str, form: str) -> bool:
    flag = _FLAGS.get(text.lower())
    if flag is None:
        raise _wrong(form, f"tls is {text[:40]!r}, not yes or no")
    return flag


def _read_file(name: str, options: Mapping[str, str], form: str) -> str:
    path = options.get(name, "")
    if path and not Path(path).is_file():
        raise _wrong(form, f"there is no file {path[:200]!r} for {name}")
    return path
