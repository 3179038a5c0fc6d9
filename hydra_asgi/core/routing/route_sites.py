"""The trees of a route table: one for paths on any host, and one for each host or pattern that a route names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hydra_asgi.core.routing.host_pattern import host_labels
from hydra_asgi.core.routing.route_owner import Owners
from hydra_asgi.core.routing.route_tree import Fresh, Node
from hydra_asgi.core.routing.template import Segment

__all__ = ["Paths", "Sites"]

Paths = Node[Owners]


@dataclass(slots=True)
class Sites:
    """The routes of one kind: those of any host, and those of named hosts, of which most directories have none."""

    anywhere: Paths = field(default_factory=Node)
    hosts: Node[Paths] | None = None

    def roots(self, host: str) -> Iterator[Paths]:
        """Where to look for a path, the best first."""
        if self.hosts is not None:
            yield from self.hosts.walk(host_labels(host))
        yield self.anywhere

    def copy(self, fresh: Fresh) -> "Sites":
        """The same routes, of which others can be made; the copied nodes are added to `fresh`."""
        copy = Sites(self.anywhere.copy(), self.hosts and self.hosts.copy())
        fresh.update(root for root in (copy.anywhere, copy.hosts) if root is not None)
        return copy

    def find(self, labels: Sequence[Segment], segments: Sequence[Segment]) -> Paths | None:
        """The node of a route; no labels for any host."""
        if not labels:
            return self.anywhere.find(segments)
        place = self.hosts and self.hosts.find(labels)
        return None if place is None or place.leaf is None else place.leaf.find(segments)

    def reach(self, labels: Sequence[Segment], segments: Sequence[Segment], fresh: Fresh | None) -> Paths:
        """The node of a route, made where there is none; `fresh` as for `Node.reach`."""
        return self._root(labels, fresh).reach(segments, fresh)

    def _root(self, labels: Sequence[Segment], fresh: Fresh | None) -> Paths:
        if not labels:
            return self.anywhere
        if self.hosts is None:
            self.hosts = Node()
            if fresh is not None:
                fresh.add(self.hosts)
        place = self.hosts.reach(labels, fresh)
        root = place.leaf
        if root is None or (fresh is not None and root not in fresh):
            root = place.leaf = Node() if root is None else root.copy()
            if fresh is not None:
                fresh.add(root)
        return root
