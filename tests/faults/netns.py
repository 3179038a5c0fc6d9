"""A network namespace with one link to ours, for a process that is cut off from a server but not from its users.

    with Namespace() as island:
        Process(island.command([...]), ...)          # listens at island.address, reaches us at island.gateway
        island.drop_answers(redis.port)              # silence: its packets arrive, ours to it are lost
        island.heal()

Packets are lost by routing rules of the kind `blackhole` (DROP) and `unreachable` (REJECT), which need nothing but
iproute2. Rules apply where packets leave, so "drop what the server answers" is a rule on our side.
"""

import contextlib
import itertools
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from typing import Self

from tests.faults.needs import is_root, missing, need

__all__ = ["Namespace"]

_numbers = itertools.count()


class Namespace:
    """One namespace and its link.

    Attributes:
        gateway: our end of the link; servers that the inside should reach listen here.
        address: the other end; what runs inside listens here.
    """

    def __init__(self) -> None:
        self._ip = need(shutil.which("ip"), "the command ip: apt-get install iproute2")
        if not is_root():
            missing("root, to make network namespaces")
        number = next(_numbers)
        # A /30 of a private range that nobody is likely to use; random, so that two test runs do not meet.
        net = f"10.213.{random.randrange(256)}.{4 * random.randrange(64)}".rsplit(".", 1)
        low = int(net[1])
        self.gateway, self.address = f"{net[0]}.{low + 1}", f"{net[0]}.{low + 2}"
        self.name = f"hydra-{os.getpid()}-{number}"
        self._ours, self._theirs = f"hy{os.getpid() % 100_000}o{number}", f"hy{os.getpid() % 100_000}i{number}"
        self._rules: list[list[str]] = []

    def command(self, command: Sequence[str]) -> list[str]:
        """The command, to be run inside."""
        return [self._ip, "netns", "exec", self.name, *command]

    def drop_answers(self, port: int) -> None:
        """Lose what a server at our end says: it hears the inside, the inside hears nothing (a half-open link)."""
        self._add([], "to", self.address, "ipproto", "tcp", "sport", str(port), "blackhole")

    def drop_requests(self, port: int) -> None:
        """Lose what the inside says to a server at our end, which hears nothing any more."""
        self._add(["-n", self.name], "to", self.gateway, "ipproto", "tcp", "dport", str(port), "blackhole")

    def drop(self, port: int) -> None:
        """Lose everything between the inside and a server at our end: a partition."""
        self.drop_answers(port)
        self.drop_requests(port)

    def refuse(self, port: int) -> None:
        """Let the inside fail at once when it speaks to a server at our end: an unreachable network."""
        self._add(["-n", self.name], "to", self.gateway, "ipproto", "tcp", "dport", str(port), "unreachable")

    def heal(self) -> None:
        """Take all of that back."""
        rules, self._rules = self._rules, []
        for rule in rules:
            self._run(*[word if word != "add" else "del" for word in rule])

    def _add(self, where: Sequence[str], *rule: str) -> None:
        added = [*where, "rule", "add", *rule]
        self._run(*added)
        self._rules.append(added)

    def _run(self, *words: str) -> None:
        done = subprocess.run([self._ip, *words], capture_output=True, text=True, check=False, timeout=10)
        assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"

    def __enter__(self) -> Self:
        inside = ("-n", self.name)
        with contextlib.ExitStack() as stack:
            try:
                self._run("netns", "add", self.name)
            except AssertionError as error:
                missing(f"network namespaces ({error})")
            stack.callback(self._remove)
            self._run("link", "add", self._ours, "type", "veth", "peer", "name", self._theirs, "netns", self.name)
            self._run("addr", "add", f"{self.gateway}/30", "dev", self._ours)
            self._run("link", "set", self._ours, "up")
            self._run(*inside, "addr", "add", f"{self.address}/30", "dev", self._theirs)
            self._run(*inside, "link", "set", self._theirs, "up")
            self._run(*inside, "link", "set", "lo", "up")
            stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.heal()
        finally:
            self._remove()

    def _remove(self) -> None:
        """The link goes with the namespace."""
        with contextlib.suppress(AssertionError):
            self._run("link", "del", self._ours)
        self._run("netns", "del", self.name)
