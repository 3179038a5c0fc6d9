"""The tree behind the route table: one node for each way a segment may match, the most specific way tried first.

A node is reached by one way only, so a walk visits each node at most once, and on the usual path one node for each
segment. The tree is filled while a table is built and never changed after that: the next table shares what stays the
same, and has copies of the nodes on the way to what changes.

Few objects, on purpose: Python's collector looks at all of them while nothing else runs.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from hydra_asgi.core.routing.template import Segment, SegmentKind

__all__ = ["Fresh", "Node"]

Leaf = TypeVar("Leaf")

# The expressions of Starlette's convertors, which Werkzeug's are part of. ASCII only: [0-9], not \d.
_is_int = re.compile(r"[0-9]+").fullmatch
_is_float = re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch
_is_uuid = re.compile("[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}").fullmatch

# Looked up once, because a lookup is slow up to Python 3.11.
_LITERAL, _PARAMETER, _REST = SegmentKind.LITERAL, SegmentKind.PARAMETER, SegmentKind.REST
_INT, _FLOAT = SegmentKind.INT, SegmentKind.FLOAT

_NOTHING: dict[str, Any] = {}
"""The literals of a node that has none, never written to: most nodes are such, and a dict for each costs a rebuild."""


class Node(Generic[Leaf]):
    """Where the segments matched so far lead.

    Attributes:
        leaf: what stands here when the path ends here; None for nothing.
    """

    __slots__ = ("_literals", "_parameter", "_rest", "_typed", "leaf")

    def __init__(self) -> None:
        self.leaf: Leaf | None = None
        self._literals: dict[str, Node[Leaf]] = _NOTHING
        self._typed: tuple[Node[Leaf] | None, Node[Leaf] | None, Node[Leaf] | None] | None = None  # int, float, uuid
        self._parameter: Node[Leaf] | None = None
        self._rest: Node[Leaf] | None = None

    def copy(self) -> "Node[Leaf]":
        """A node with the same leaf and the same ways on, of which others can be made."""
        copy: Node[Leaf] = Node()
        copy.leaf, copy._typed, copy._parameter, copy._rest = self.leaf, self._typed, self._parameter, self._rest
        if self._literals:
            copy._literals = self._literals.copy()
        return copy

    def find(self, segments: Sequence[Segment]) -> "Node[Leaf] | None":
        """The node of a template. Names of parameters make no difference."""
        node: Node[Leaf] | None = self
        for segment in segments:
            if node is None:
                return None
            node = node._literals.get(segment.text) if segment.kind is _LITERAL else node._parameter_at(segment.kind)
        return node

    def reach(self, segments: Sequence[Segment], fresh: "Fresh | None" = None) -> "Node[Leaf]":
        """The node of a template, made where there is none.

        Args:
            segments: of the template.
            fresh: the nodes that may be changed, this one among them; others are copied, and copies and new nodes are
                added. None: all may be.
        """
        node = self
        for segment in segments:
            child = node._literals.get(segment.text) if segment.kind is _LITERAL else node._parameter_at(segment.kind)
            if child is None or (fresh is not None and child not in fresh):
                child = Node() if child is None else child.copy()
                if fresh is not None:
                    fresh.add(child)
                node._put(segment, child)
            node = child
        return node

    def _parameter_at(self, kind: SegmentKind) -> "Node[Leaf] | None":
        if kind is _PARAMETER:
            return self._parameter
        if kind is _REST:
            return self._rest
        return None if self._typed is None else self._typed[kind - 1]

    def _put(self, segment: Segment, child: "Node[Leaf]") -> None:
        kind = segment.kind
        if kind is _LITERAL:
            if self._literals is _NOTHING:
                self._literals = {}
            self._literals[segment.text] = child
        elif kind is _PARAMETER:
            self._parameter = child
        elif kind is _REST:
            self._rest = child
        else:
            first, second, third = self._typed or (None, None, None)
            if kind is _INT:
                first = child
            elif kind is _FLOAT:
                second = child
            else:
                third = child
            self._typed = (first, second, third)

    def walk(self, segments: Sequence[str]) -> Iterator[Leaf]:
        """What the segments match, the best match first.

        Compared segment by segment: literal, then int, float, uuid, then any text, then the rest of the path. An empty
        segment matches an empty literal or a rest, never a parameter.
        """
        end = len(segments)
        waiting: list[tuple[Node[Leaf], int]] = []
        node, depth = self, 0
        while True:
            if depth == end:
                if node.leaf is not None:
                    yield node.leaf
                child = None
            else:
                segment = segments[depth]
                depth += 1
                if node._rest is not None:
                    waiting.append((node._rest, end))
                if segment:
                    if node._parameter is not None:
                        waiting.append((node._parameter, depth))
                    if node._typed is not None:
                        as_int, as_float, as_uuid = node._typed
                        if as_uuid is not None and _is_uuid(segment) is not None:
                            waiting.append((as_uuid, depth))
                        if as_float is not None and _is_float(segment) is not None:
                            waiting.append((as_float, depth))
                        if as_int is not None and _is_int(segment) is not None:
                            waiting.append((as_int, depth))
                child = node._literals.get(segment)
            if child is not None:
                node = child
            elif waiting:
                node, depth = waiting.pop()
            else:
                return


Fresh = set[Node[Any]]
"""Nodes that no table has yet, so that they may be changed."""
