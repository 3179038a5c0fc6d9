"""Central settings as a human gives them: checked once, before they go into the store."""

import math
import re
from collections.abc import Iterable

from hydra_asgi.core.routing.path_prefixes import check_prefix
from hydra_asgi.core.service_name import ServiceNameError, check_service_name
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings
from hydra_asgi.errors import ConfigurationError, TemplateError

__all__ = ["MAX_CONDITIONS", "MAX_PREFIXES", "MAX_SHARE", "MAX_SHARES", "check_settings"]

MAX_SHARES = 100
"""More versions than anybody runs of one service at a time."""

MAX_SHARE = 1e9
"""As large as a weight counts at most."""

MAX_CONDITIONS = 32
"""Each is looked at with every request to the service."""

MAX_PREFIXES = 100

MAX_NAME = 256
MAX_VALUE = 1024

MIN_VERSION, MAX_VERSION = -(2**31), 2**31 - 1
"""Java peers read a version as an int."""

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 section 5.6.2; a cookie's name is one too (RFC 6265)
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")  # servers take blanks around it away
_COOKIE_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]+")  # RFC 6265 section 4.1.1, without quotes around it


def check_settings(service: str, settings: ServiceSettings) -> ServiceSettings:
    """Return settings that may be stored: those given, with the names of headers in lower case.

    Args:
        service: whose they are.
        settings: what a human has asked for.

    Raises:
        ConfigurationError: names the service, the value and the way out.
    """
    try:
        check_service_name(service)
    except ServiceNameError as error:
        raise ConfigurationError(str(error)) from None
    _check_count(service, "shares", len(settings.shares), MAX_SHARES)
    _check_count(service, "conditions", len(settings.conditions), MAX_CONDITIONS)
    _check_count(service, "prefixes", len(settings.prefixes), MAX_PREFIXES)
    _check_shares(service, settings)
    for prefix in settings.prefixes:
        try:
            check_prefix(prefix)
        except TemplateError as error:
            raise ConfigurationError(f"{service}: {error}") from None
    conditions = tuple(_checked_condition(service, condition) for condition in settings.conditions)
    asked = [f"{one.source.value}:{one.name}{one.value and f'={one.value}'}" for one in conditions]
    _check_once(service, "condition", asked)
    _check_once(service, "prefix", [prefix.rstrip("/") or "/" for prefix in settings.prefixes])
    return ServiceSettings(dict(settings.shares), settings.policy, conditions, settings.prefixes)


def _check_count(service: str, what: str, count: int, most: int) -> None:
    if count > most:
        raise ConfigurationError(f"{service}: {count} {what} are too many, at most {most} are looked at")


def _check_shares(service: str, settings: ServiceSettings) -> None:
    if settings.shares and settings.policy is not None:
        raise ConfigurationError(
            f"{service}: shares of versions and the policy {settings.policy} were both given: "
            "shares would win and the policy do nothing, so give one of them"
        )
    for version, share in settings.shares.items():
        _check_version(service, version)
        if not math.isfinite(share) or not 0 <= share <= MAX_SHARE:
            raise ConfigurationError(
                f"{service}: the share of version {version} is {share!r}, expected a number from 0 to {MAX_SHARE:g}; "
                "shares are proportions: 90 and 10 say the same as 9 and 1"
            )


def _check_version(service: str, version: int) -> None:
    if not MIN_VERSION <= version <= MAX_VERSION:
        raise ConfigurationError(f"{service}: version {version} is no 32-bit integer, as services announce them")


def _checked_condition(service: str, condition: Condition) -> Condition:
    what, name, value = condition.source.value, condition.name, condition.value
    is_header = condition.source is ConditionSource.HEADER
    if len(name) > MAX_NAME or _TOKEN.fullmatch(name) is None:
        raise ConfigurationError(
            f"{service}: {name[:80]!r} is no name of a {what}: use letters, digits and - _ . without blanks"
        )
    form = _HEADER_VALUE if is_header else _COOKIE_VALUE
    if value and (len(value) > MAX_VALUE or form.fullmatch(value) is None):
        raise ConfigurationError(
            f"{service}: {value[:80]!r} is no value of the {what} {name!r}: use at most {MAX_VALUE} visible ASCII "
            f"characters{'' if is_header else ' without blanks, quotes, commas, semicolons and backslashes'}, "
            "or leave it out for any value"
        )
    if is_header and name.lower() == "cookie":
        raise ConfigurationError(f"{service}: the header 'cookie' holds all cookies: name the cookie that is meant")
    _check_version(service, condition.version)
    return Condition(condition.source, name.lower() if is_header else name, value, condition.version)


def _check_once(service: str, what: str, names: Iterable[str]) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise ConfigurationError(f"{service}: the {what} {name[:120]!r} is there twice: give it once")
        seen.add(name)
