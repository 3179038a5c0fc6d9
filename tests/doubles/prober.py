"""A network in which every host resolves and every port answers, unless the test says otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["FakeProber"]


@dataclass
class FakeProber:
    """Answers from two dicts; hosts that are not listed resolve to themselves."""

    names: dict[str, Sequence[str]] = field(default_factory=dict)
    reasons: dict[tuple[str, int], str] = field(default_factory=dict)
    probed: list[tuple[str, int]] = field(default_factory=list)

    async def resolve(self, host: str) -> Sequence[str]:
        return self.names.get(host, [host])

    async def why_unreachable(self, host: str, port: int) -> str | None:
        self.probed.append((host, port))
        return self.reasons.get((host, port))
