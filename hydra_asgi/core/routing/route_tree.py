"""The tree behind the route table: one node for each way a segment may match, the most specific way tried first.

A node is reached by one way only, so a walk visits each node at most once, and on the usual path one node for each
segment. The tree is filled while a table is built and never changed after that.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from hydra_asgi.core.routing.template import Segment, SegmentKind

__all__ = ["Node"]

Leaf = TypeVar("Leaf")

_CHECKS: dict[SegmentKind, Callable[[str], object]] = {
    # The expressions of Starlette's convertors, which Werkzeug's are part of. ASCII only: [0-9], not \d.
    SegmentKind.INT: re.compile(r"[0-9]+").fullmatch,
    SegmentKind.FLOAT: re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch,
    SegmentKind.UUID: re.compile("[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}").fullmatch,
}

_LITERAL = SegmentKind.LITERAL  # looked up once, because a lookup is slow up to Python 3.11

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
        # The most specific last, because a walk works off a stack.
        self._typed: tuple[tuple[SegmentKind, Callable[[str], object], Node[Leaf]], ...] = ()
        self._parameter: Node[Leaf] | None = None
        self._rest: Node[Leaf] | None = None

    def reach(self, segments: Sequence[Segment]) -> "Node[Leaf]":
        """The node of a template, made where there is none. Names of parameters make no difference."""
        node = self
        for segment in segments:
            if segment.kind is _LITERAL:
                node = node._reach_literal(segment.text)
            else:
                node = node._reach_parameter(segment.kind)
        return node

    def _reach_literal(self, text: str) -> "Node[Leaf]":
        child = self._literals.get(text)
        if child is None:
            if self._literals is _NOTHING:
                self._literals = {}
            child = self._literals[text] = Node()
        return child

    def _reach_parameter(self, kind: SegmentKind) -> "Node[Leaf]":
        if kind is SegmentKind.REST:
            self._rest = self._rest or Node()
            return self._rest
        if kind is SegmentKind.PARAMETER:
            self._parameter = self._parameter or Node()
            return self._parameter
        for known, _, child in self._typed:
            if known is kind:
                return child
        made: Node[Leaf] = Node()
        typed = (*self._typed, (kind, _CHECKS[kind], made))
        self._typed = tuple(sorted(typed, key=lambda one: one[0], reverse=True))
        return made

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
                    for _, fits, typed in node._typed:
                        if fits(segment) is not None:
                            waiting.append((typed, depth))
                child = node._literals.get(segment)
            if child is not None:
                node = child
            elif waiting:
                node, depth = waiting.pop()
            else:
                return
