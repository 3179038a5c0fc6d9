"""The scripts that run inside Redis, put together from their parts.

Rules for whoever edits them: a script names every key it touches (a cluster insists), changes nothing before it has
refused, begins its writing with something that Redis refuses when memory is used up, and understands records of newer
nodes: it passes unknown fields on. Whoever adds a field writes large numbers as text and expects an empty list back as
an empty object (that is what Lua makes of them), and gives what older nodes would misread a key of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files

from hydra_asgi.core.directory.lease_times import (
    BEAT_SECONDS,
    FORGOTTEN_SECONDS,
    HELD_SECONDS,
    INACTIVE_SECONDS,
    MASS_INSTANCES,
    SWEEP_SECONDS,
    VOUCHED_SECONDS,
)
from hydra_asgi.core.routing.token import MAX_TOKEN, MIN_TOKEN

__all__ = [
    "CONFIGURE",
    "DRAIN",
    "KEEP_SECRET",
    "LEASES_OF",
    "MEND",
    "POLL",
    "REGISTER",
    "RELEASE",
    "RENEW",
    "SNAPSHOT",
    "VOUCH",
    "Script",
]

SCHEMA = 1
"""Of the records and keys; nodes that know another one share the directory as long as they keep the rules above."""

NOTED_SECONDS = 0.25
"""How old the clock's last note may be before a look at it is noted again."""

PATIENCE_SECONDS = 1.1 * SWEEP_SECONDS + NOTED_SECONDS + 0.25
"""A look that comes later than this after the last note means that nobody could look. Less than a lone process allows
itself: here a gap is not a busy node, which the others make up for, but a server that was away, and beats were lost."""

KEPT_CHANGES = 20_000
"""A node that is further behind is sent the whole directory, and so is one that meets more while it takes it over.
Takes some sixty kilobytes."""

SWEEP_LEASES = 2_000
"""At most so many leases lapse in one sweep: while a script runs the server serves nobody else."""

KINDS = {
    "META": "hash",  # epoch, revision, clock
    "INSTANCES": "hash",  # token -> record of the instance, with its leases
    "DOCUMENTS": "hash",  # token -> what the instance announces
    "TOKENS": "hash",  # service and address -> token
    "LEASES": "hash",  # lease -> record
    "CALLERS": "zset",  # service, caller and lease, to be found by their beginning
    "BEATS": "zset",  # lease -> its last beat, of those that are active
    "SILENT": "zset",  # lease -> when to look at it, of those that are not
    "QUIET": "zset",  # token -> since when an instance is inactive
    "CHANGED": "zset",  # token -> the revision of its last change
    "GONE": "zset",  # token -> the revision at which it went
    "HISTORY": "list",  # the chain at each of the last revisions
    "SETTINGS": "hash",  # service -> central settings
    "SECRETS": "hash",  # name -> secret
}
"""The keys of a namespace, and what each holds."""

_CONSTANTS: dict[str, float | str] = {
    "SCHEMA": SCHEMA,
    "BEAT": BEAT_SECONDS,
    "INACTIVE": INACTIVE_SECONDS,
    "FORGOTTEN": FORGOTTEN_SECONDS,
    "VOUCHED": VOUCHED_SECONDS,
    "HELD": HELD_SECONDS,
    "PERIOD": SWEEP_SECONDS,
    "PATIENCE": PATIENCE_SECONDS,
    "NOTED": NOTED_SECONDS,
    "MASS": MASS_INSTANCES,
    "KEPT": KEPT_CHANGES,
    "BATCH": SWEEP_LEASES,
    "FIRST_TOKEN": f"'{MIN_TOKEN}'",
    "LAST_TOKEN": MAX_TOKEN,
}
_DIRECTORY = tuple(name for name in KINDS if name not in ("SETTINGS", "SECRETS"))


@dataclass(frozen=True, slots=True)
class Script:
    """One script.

    Attributes:
        name: of its file, for messages.
        source: in Lua.
        keys: the keys it is given, in order, by the names in `KINDS`.
        sha: how Redis names it.
    """

    name: str
    source: str
    keys: tuple[str, ...]
    sha: str

    def call(self, namespace: str, arguments: Sequence[str | bytes | int]) -> tuple[str | bytes | int, ...]:
        """What follows `EVALSHA sha` or `EVAL source`."""
        return (len(self.keys), *(key_of(namespace, name) for name in self.keys), *arguments)


def key_of(namespace: str, name: str) -> str:
    """A key in full. The braces keep all keys of a namespace on one node of a cluster."""
    return f"hydra:{{{namespace}}}:{name.lower()}"


def _script(name: str, keys: Sequence[str], parts: Sequence[str] = ("life", "listing")) -> Script:
    folder = files(__package__) / "lua"
    texts = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in (*parts, name)]
    source = "\n".join((_head(keys, texts), *texts))
    return Script(name, source, tuple(keys), sha1(source.encode(), usedforsecurity=False).hexdigest())


def _head(keys: Sequence[str], texts: Sequence[str]) -> str:
    """The names of the keys, and the constants that the parts use. Others are left out: names are scarce in Lua."""
    text = "\n".join(texts)
    lines = [f"local {name} = KEYS[{index}]" for index, name in enumerate(keys, 1)]
    lines += [f"local {name} = {_lua(value)}" for name, value in _CONSTANTS.items() if name in text]
    return "\n".join(lines)


def _lua(value: float | str) -> str:
    return f"{round(value * 1000)}" if isinstance(value, float) else str(value)


POLL = _script("poll", _DIRECTORY, ("life", "listing", "sweep"))
SNAPSHOT = _script("snapshot", (*_DIRECTORY, "SETTINGS"), ("life", "listing", "sweep"))
REGISTER = _script("register", _DIRECTORY)
RENEW = _script("renew", ("META", "INSTANCES", "LEASES", "BEATS", "SILENT", "QUIET", "CHANGED", "HISTORY"))
RELEASE = _script("release", tuple(name for name in _DIRECTORY))
LEASES_OF = _script("leases_of", ("META", "LEASES", "CALLERS", "BEATS"))
VOUCH = _script("vouch", ("META", "INSTANCES"))
DRAIN = _script("drain", ("META", "INSTANCES", "LEASES", "BEATS", "QUIET", "CHANGED", "HISTORY"))
CONFIGURE = _script("configure", (*_DIRECTORY, "SETTINGS"), ("life",))
MEND = _script("mend", (*_DIRECTORY, "SETTINGS"), ("life",))
KEEP_SECRET = _script("keep_secret", ("SECRETS",), ())
