"""Central settings of one service: what an operator decides for the whole site, over what instances announce."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import EllipsisType

__all__ = ["Condition", "ConditionSource", "Expected", "ServiceSettings", "SharePolicy", "may_replace"]


class SharePolicy(StrEnum):
    """How shares are made from what is listed, where they are not given one by one."""

    EQUAL_SHARE = "EQUAL_SHARE"
    NEWEST_VERSION_WINS = "NEWEST_VERSION_WINS"


class ConditionSource(StrEnum):
    """Where a condition looks."""

    HEADER = "header"
    COOKIE = "cookie"


@dataclass(frozen=True, slots=True)
class Condition:
    """Users who always get one version, such as internal testers.

    Attributes:
        source: a request header or a cookie.
        name: of the header (lower-case) or the cookie (as it is).
        value: what it has to be, exactly; empty for "whatever it is".
        version: what those users get while an instance of it can serve.
    """

    source: ConditionSource
    name: str
    value: str
    version: int


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What is set centrally for one service. An empty one is the same as none.

    Attributes:
        shares: version -> share of the users; empty leaves it to `policy`, else to the instances' weights.
        policy: makes the shares while `shares` is empty.
        conditions: looked at before the shares, in order; the first that fits and can be served decides.
        prefixes: the service's routes count only under one of these path prefixes, by whole segments; empty for any.
    """

    shares: Mapping[int, float] = field(default_factory=dict)
    policy: SharePolicy | None = None
    conditions: tuple[Condition, ...] = ()
    prefixes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is set."""
        return bool(self.shares or self.policy or self.conditions or self.prefixes)


Expected = ServiceSettings | None | EllipsisType
"""What a caller has read before it changes it; None for nothing, `...` for "whatever is set"."""


def may_replace(present: ServiceSettings | None, wanted: ServiceSettings | None, expected: Expected) -> bool:
    """Whether settings may be set: nobody else has changed them since the caller looked, or to just the same.

    Args:
        present: what is set now, None for nothing.
        wanted: what is to be set, None for nothing.
        expected: what the caller has read.
    """
    return expected is ... or present in (wanted, expected or None)
