"""What a node tells about its work, as frozen values: to the log, to metrics, and to whoever gave it a hook.

Rules for editors: a field is something an operator counts, filters by or reads; nothing here holds a header field, a
query, a body or a secret. What clients and peers wrote into a field is hostile text until it is escaped.
"""

from dataclasses import dataclass
from typing import Final, Literal

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentCause

__all__ = [
    "GIVEN_UP",
    "RENDERED",
    "DirectoryRecord",
    "EjectionRecord",
    "Event",
    "Fallback",
    "ForwardRecord",
    "FragmentRecord",
    "RegistrationAction",
    "RegistrationRecord",
]

RENDERED: Final = "rendered"
GIVEN_UP: Final = "given-up"

RegistrationAction = Literal["register", "beat", "leave", "drain"]


@dataclass(frozen=True, slots=True)
class ForwardRecord:
    """One forwarded request, when it is over.

    Attributes:
        service: who was asked for.
        version: of the instance asked last; None when nobody was.
        instance: `host:port` of the instance asked last; empty when nobody was.
        method: upper-case.
        status: what the client was sent; 499 when it was gone before that.
        attempts: how many requests were sent to instances.
        kind: how the request failed; None when it did not. With a good status: the response broke off.
        seconds: from the request to the end of its response.
        request_bytes: of the body that was read from the client.
        response_bytes: of the body that was sent to the client.
        is_local: the mounted app answered at last, in the place of an instance that could not.
        path: as it was sent, printable and cut, without its query.
        request_id: the request's `X-Request-Id`.
    """

    service: str
    version: int | None
    instance: str
    method: str
    status: int
    attempts: int
    kind: ErrorKind | None
    seconds: float
    request_bytes: int
    response_bytes: int
    is_local: bool = False
    path: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Fallback:
    """One fragment that showed its fallback.

    Attributes:
        service: who should have rendered it, `""` for the page's own app.
        ref: which fragment.
        cause: why, from a closed list.
        detail: what happened, for the log; never shown to the public.
        seconds: from the start tag to the decision.
        request_id: `X-Request-Id` of the page's request.
    """

    service: str
    ref: str
    cause: FragmentCause
    detail: str
    seconds: float
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class FragmentRecord:
    """What came of one fragment that was asked for, whoever asked.

    Attributes:
        service: who was asked; the node's own name for its own fragments.
        ref: which fragment.
        version: of the instance that answered; None when none is known to have.
        outcome: `rendered`, a `FragmentCause`, or `given-up` when whoever asked did not wait for it.
        seconds: from the question to this.
    """

    service: str
    ref: str
    version: int | None
    outcome: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RegistrationRecord:
    """One control-plane call of a service.

    Attributes:
        action: what it wanted.
        service: who called; empty where the call was refused, because then nobody knows.
        version: of the announced instance; None when the call announces none.
        instance: `host:port` that was announced; empty when the call announces none.
        status: the HTTP status of the answer; 200 when it was done.
    """

    action: RegistrationAction
    service: str
    version: int | None
    instance: str
    status: int


@dataclass(frozen=True, slots=True)
class EjectionRecord:
    """An instance is spared because it failed, or is used again.

    Attributes:
        service: whose instance.
        version: of it.
        instance: `host:port`.
        seconds: how long it is spared; 0 when it is used again.
        why: its last outcome.
    """

    service: str
    version: int
    instance: str
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class DirectoryRecord:
    """What the node knows has changed, or how well it knows it.

    Attributes:
        status: `starting`, `ok` or `degraded`: what is known may be out of date.
        why: one sentence; empty when all is well.
        revision: names the state of the directory.
        services: how many there are.
        instances: how many there are, silent ones included.
        active: how many of them are not silent.
    """

    status: str
    why: str
    revision: str
    services: int
    instances: int
    active: int


Event = ForwardRecord | Fallback | FragmentRecord | RegistrationRecord | EjectionRecord | DirectoryRecord
"""Everything that a hook is told."""
