"""What a process of the site says on its standard output: rows of a table for people, JSON lines for the supervisor."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from examples.site import Member, origin

__all__ = ["Report", "line", "read_line", "table"]


@dataclass(frozen=True, slots=True)
class Report:
    """One process as it sees itself and the site.

    Attributes:
        joined: it serves, and the gateway lists it.
        services: the versions it knows of each service.
    """

    joined: bool = False
    services: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def lists(self, member: Member) -> bool:
        """Whether an instance of that service and version is known here."""
        return member.version in self.services.get(member.service, ())


def line(report: Report) -> str:
    """One report as one line of JSON."""
    return json.dumps({"joined": report.joined, "services": {k: list(v) for k, v in report.services.items()}})


def read_line(text: bytes) -> Report | None:
    """The report in a line, or None when the line is something else that the process printed."""
    try:
        said = json.loads(text)
        return Report(joined=said["joined"], services=said["services"])
    except (ValueError, TypeError, KeyError):
        return None


def table(members: Iterable[tuple[Member, int]]) -> str:
    """Members and their process ids as aligned columns."""
    rows = [("service", "version", "address", "pid")]
    rows += [(member.service, str(member.version), origin(member.port), str(pid)) for member, pid in members]
    name, version, address, pid = (max(len(row[column]) for row in rows) for column in range(4))
    return "\n".join(f"{r[0]:<{name}}  {r[1]:>{version}}  {r[2]:<{address}}  {r[3]:>{pid}}" for r in rows)
