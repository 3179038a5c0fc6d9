"""Many users who come once, as fast as a site answers them: for shares between versions."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.fleet import Member
from tests.faults.http_client import HttpClient
from tests.faults.loop_thread import LoopThread

__all__ = ["Visits", "visit"]

AT_A_TIME = 16


@dataclass
class Visits:
    """What users got.

    Attributes:
        versions: how often each version answered.
        failed: what was not a page.
        cookies: those that were set, by the version that answered; a user who comes back brings it.
    """

    versions: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    cookies: dict[str, list[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many got a page."""
        return self.versions.total()

    def share(self, version: int) -> float:
        """Percent of the users that got this version."""
        return 100 * self.versions[str(version)] / self.count


def visit(gateways: Sequence[Member], service: str, users: int | Sequence[str]) -> Visits:
    """Let users ask for one page each, through all gateways in turn.

    Args:
        gateways: where they go.
        service: whose page they want.
        users: how many new ones, or the cookies of known ones.
    """
    with LoopThread() as thread:
        return thread.do(_visit(gateways, service, [""] * users if isinstance(users, int) else users), seconds=120)


async def _visit(gateways: Sequence[Member], service: str, cookies: Sequence[str]) -> Visits:
    visits = Visits()
    clients = [HttpClient(gateway.host, gateway.serves) for gateway in gateways]
    waiting = iter(enumerate(cookies))

    async def users() -> None:
        for number, cookie in waiting:
            client = clients[number % len(clients)]
            fields = f"Cookie: {cookie}\r\n" if cookie else ""
            answer = await client.ask("GET", f"/{service}/page/{number}", fields=fields)
            words = answer.body.split()
            if answer.status != 200 or words[3] != str(number).encode():
                visits.failed.append(f"{answer.status} {answer.body[:100]!r}")
                continue
            version = words[1].decode()
            visits.versions[version] += 1
            visits.cookies.setdefault(version, []).append(answer.head.get("set-cookie", "").partition(";")[0])

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_A_TIME):
                tasks.create_task(users())
    finally:
        for client in clients:
            client.close()
    return visits
