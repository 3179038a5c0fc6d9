"""The site file: options for the node, and the instances that register nowhere, in TOML.

    [gateway]
    key = "site"

    [[instances]]
    service = "legacy"
    url = "http://10.0.0.9:8080"
    routes = ["/legacy/{rest:path}"]

Every mistake is told with its line, and all of them at once.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options import OPTION_NAMES, Given, read_option, read_url
from hydra_asgi.site.key_lines import KeyPath, key_lines, line_of
from hydra_asgi.site.static_instance import StaticInstance, mistakes_in, nearest

__all__ = ["SiteFile", "load_site", "parse_site"]

MAX_TOLD = 50
"""Mistakes that are named one by one: a word that is wrong in each of ten thousand instances is seen in these."""

MAX_BYTES = 4_194_304
"""Ten thousand instances; whatever is larger is another file."""

_TABLES = dict.fromkeys(("gateway", "instances"))
_OPTIONS = dict.fromkeys(name for name in OPTION_NAMES if name != "config")
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,120}")
_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")

Told = tuple[KeyPath, str]


@dataclass(frozen=True, slots=True)
class SiteFile:
    """What a site file says.

    Attributes:
        options: under `[gateway]`: name -> the value and where it stands.
        instances: under `[[instances]]`, in order.
        path: where it was read; empty when there is no file.
    """

    options: Mapping[str, Given] = field(default_factory=dict)
    instances: tuple[StaticInstance, ...] = ()
    path: str = ""


def load_site(path: str) -> SiteFile:
    """Read a file. It blocks, so on a running loop it belongs into a thread.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong; one line for each mistake.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{path}: has more than {MAX_BYTES} bytes; name a site file")
    try:
        text = content.decode("utf-8-sig")  # editors of Windows begin a file with a mark
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{path}:{line}: is not UTF-8: save it in that encoding") from None
    return parse_site(text, path)


def parse_site(text: str, path: str = "site.toml") -> SiteFile:
    """Read the text of a file.

    Args:
        text: TOML.
        path: its name, for messages.

    Raises:
        ConfigurationError: something is wrong; one line for each mistake, in the order of the file.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(_syntax(path, text, str(error))) from None
    except (RecursionError, ValueError):  # what TOML allows and Python does not
        raise ConfigurationError(f"{path}: is nested too deeply, or has a number with too many digits") from None
    lines = key_lines(text)
    told = [(line_of(key, lines), _name(key), what) for key, what in _mistakes(document)]
    if told:
        raise ConfigurationError(_listed(path, sorted(told)))
    options = {
        name: (value, f"{path}:{line_of(('gateway', name), lines)}: {name}:")
        for name, value in document.get("gateway", {}).items()
    }
    return SiteFile(options, tuple(StaticInstance(**table) for table in document.get("instances", ())), path)


def _mistakes(document: Mapping[str, object]) -> Iterator[Told]:
    for key in document:
        if key not in _TABLES:
            yield (key,), _no_table(key)
    gateway = document.get("gateway", {})
    if isinstance(gateway, Mapping):
        yield from _option_mistakes(gateway)
    else:
        yield ("gateway",), "is no table: write [gateway] with one option a line below it"
    instances = document.get("instances", [])
    if isinstance(instances, Sequence) and all(isinstance(table, Mapping) for table in instances):
        yield from _instance_mistakes(instances)
    else:
        yield ("instances",), "is no list of tables: write [[instances]] with one key a line below it"


def _no_table(key: str) -> str:
    if key in _OPTIONS:
        return "stands in no table: write it below [gateway]"
    return f"there is no such table{nearest(key, _TABLES)}"


def _option_mistakes(gateway: Mapping[str, object]) -> Iterator[Told]:
    for name, value in gateway.items():
        if name not in _OPTIONS:
            yield ("gateway", name), f"there is no such option{nearest(name, _OPTIONS)}"
            continue
        try:
            read_option(name, value, "")
        except ConfigurationError as error:
            yield ("gateway", name), str(error).strip()


def _instance_mistakes(instances: Sequence[Mapping[str, object]]) -> Iterator[Told]:
    seen: dict[tuple[str, str], int] = {}
    for number, table in enumerate(instances):
        for key, what in mistakes_in(table):
            yield ("instances", number, key), what
        if not {"service", "url"} <= table.keys():
            continue
        identity = (str(table["service"]), _whereabouts(str(table["url"])))
        first = seen.setdefault(identity, number)
        if first != number:
            yield ("instances", number, "url"), f"is the one of instance {first + 1}: leave one of them out"


def _whereabouts(url: str) -> str:
    """The same text for the same address, however it is written."""
    try:
        return str(read_url(url, ""))
    except ConfigurationError:
        return url


def _name(key: KeyPath) -> str:
    """`instances[2].url`, counted from 1 as people do; what is no plain key stands in quotes, and is one line."""
    name = ""
    for part in key:
        if isinstance(part, int):
            name += f"[{part + 1}]"
            continue
        word = part if _PLAIN.fullmatch(part) else repr(part[:120])
        name += f".{word}" if name else word
    return name.removeprefix("gateway.")


def _listed(path: str, told: Sequence[tuple[int, str, str]]) -> str:
    lines = [f"{path}:{line}: {name}: {what}" for line, name, what in told[:MAX_TOLD]]
    if len(told) > MAX_TOLD:
        lines.append(f"{path}: and {len(told) - MAX_TOLD:,} more; mend these first")
    return "\n".join(lines)


def _syntax(path: str, text: str, message: str) -> str:
    place = _PLACE.search(message)
    line = int(place[1]) if place else text.count("\n") + 1
    what = _PLACE.sub("", message)
    return f"{path}:{line}: is not TOML: {what[:1].lower()}{what[1:]}{f' in column {place[2]}' if place else ''}"
