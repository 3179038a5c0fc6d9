"""Central settings as they are typed and read on the command line."""

import re

from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings
from hydra_asgi.errors import ConfigurationError

__all__ = [
    "condition_text",
    "percent",
    "read_condition",
    "read_shares",
    "settings_json",
    "settings_lines",
    "shares_text",
]

_SHARE = re.compile(r"v?(-?[0-9]{1,20})=([0-9.eE+-]{1,40})")
_CONDITION = re.compile(r"(header|cookie):([^=]*)(?:=(.*))?=v?(-?[0-9]{1,20})", re.DOTALL)


def read_shares(texts: list[str]) -> dict[int, float]:
    """Read `v2=10` or `2=10`, one for each version.

    Raises:
        ConfigurationError: one of them is of another form, or a version is there twice.
    """
    shares: dict[int, float] = {}
    for text in texts:
        found = _SHARE.fullmatch(text)
        version, share = (int(found[1]), _maybe_float(found[2])) if found else (0, None)
        if share is None:
            raise ConfigurationError(f"{text[:80]!r} is no share of a version: expected VERSION=SHARE, such as v2=10")
        if version in shares:
            raise ConfigurationError(f"version {version} is there twice: give it one share")
        shares[version] = share
    return shares


def _maybe_float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def read_condition(text: str) -> Condition:
    """Read `header:X-Tester=yes=v2`, or `cookie:beta=v2` for a cookie of any value.

    Raises:
        ConfigurationError: it is of another form.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            f"--when is {text[:120]!r}: expected header:NAME=VALUE=VERSION or cookie:NAME=VALUE=VERSION, such as "
            "header:X-Tester=yes=v2; without VALUE for any"
        )
    return Condition(ConditionSource(found[1]), found[2], found[3] or "", int(found[4]))


def condition_text(condition: Condition) -> str:
    """A condition as it is typed."""
    value = f"={condition.value}" if condition.value else ""
    return f"{condition.source.value}:{condition.name}{value}=v{condition.version}"


def percent(part: float) -> str:
    """A part of one as percent, with one digit where it needs one."""
    return f"{round(part * 100, 1):g} %"


def shares_text(shares: dict[int, float]) -> str:
    """Parts of the users by version."""
    return ", ".join(f"v{version} {percent(part)}" for version, part in sorted(shares.items()))


def settings_lines(settings: ServiceSettings) -> list[tuple[str, str]]:
    """What is set, as pairs of a name and a value."""
    lines = [("share", f"v{version}={share:g}") for version, share in sorted(settings.shares.items())]
    if settings.policy is not None:
        lines.append(("policy", settings.policy.value))
    lines += [("when", condition_text(condition)) for condition in settings.conditions]
    lines += [("prefix", prefix) for prefix in settings.prefixes]
    return lines


def settings_json(settings: ServiceSettings) -> dict[str, object]:
    """What is set, for programs."""
    return {
        "shares": {str(version): share for version, share in sorted(settings.shares.items())},
        "policy": None if settings.policy is None else settings.policy.value,
        "conditions": [
            {"source": one.source.value, "name": one.name, "value": one.value, "version": one.version}
            for one in settings.conditions
        ],
        "prefixes": list(settings.prefixes),
    }
