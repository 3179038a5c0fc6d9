"""How a node is: the one word of `hydra.state`, the answer of `/h/ready`, and the reading that metrics show."""

from collections import Counter
from typing import Literal

from hydra_asgi.control.plane import ReadyState
from hydra_asgi.core.node_reading import NodeReading
from hydra_asgi.node.parts import Parts

__all__ = ["State", "node_state", "read_node", "ready_state"]

State = Literal["stopped", "starting", "registered", "unregistered", "draining"]


def node_state(parts: Parts | None, *, is_draining: bool) -> State:
    """Where a node is in its life; `registered` once other nodes can find it.

    Args:
        parts: of the running node; None while it does not run.
        is_draining: it has left the site and finishes what it has.
    """
    if is_draining:
        return "draining"
    if parts is None:
        return "stopped"
    states = {registrar.state.status for registrar in parts.registrars}
    if not states or states == {"registered"}:
        return "registered"
    return "starting" if "starting" in states else "unregistered"


def ready_state(parts: Parts | None, *, is_draining: bool) -> ReadyState:
    """Whether requests may be sent to a node; arguments as for `node_state`."""
    if is_draining:
        return ReadyState("draining", "this node has left the site and finishes what it has")
    if parts is None:
        return ReadyState("starting", "the node has not started")
    if parts.directory is None:
        return ReadyState()
    health = parts.directory.health
    lasts = parts.directory.health_lasts if health.status == "degraded" else None
    return ReadyState(health.status, health.why, lasts)


def read_node(parts: Parts | None, *, is_draining: bool) -> NodeReading:
    """What metrics show of a node; arguments as for `node_state`."""
    status = ready_state(parts, is_draining=is_draining).status
    if parts is None:
        return NodeReading(status)
    counts = getattr(parts.upstream, "counts", None)  # not a verb of the port: only pools of our own have it
    connections = None if counts is None else counts()
    if parts.directory is None:
        return NodeReading(status, connections=connections)
    snapshot = parts.directory.state.snapshot
    active = Counter((instance.service, instance.version) for instance in snapshot.instances if instance.active)
    return NodeReading(status, parts.directory.age, active, connections, snapshot.unreadable)
