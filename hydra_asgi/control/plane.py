"""The control plane: everything under `/h/`, as an ASGI app of its own."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPScope,
    Scope,
)

from hydra_asgi.control.guard import Guard, caller_ip
from hydra_asgi.control.lifespan_answer import answer_lifespan
from hydra_asgi.control.registration import RegistrationDesk
from hydra_asgi.control.reply import reply_empty, reply_json, reply_refusal
from hydra_asgi.core.admission.recent import Recent
from hydra_asgi.core.events import RegistrationAction, RegistrationRecord
from hydra_asgi.errors import RefusedError, StoreError
from hydra_asgi.ports import Clock, Hook

__all__ = ["ControlPlane", "ReadyState", "redacted", "relative_path"]

QUIET_SECONDS = 60.0
"""A refused service comes back every second; its reason is logged once a minute."""

Handler = Callable[[HTTPScope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]

_ACTIONS: dict[tuple[str, str], RegistrationAction] = {
    ("registration", "POST"): "register",
    ("registration", "DELETE"): "leave",
    ("alive", "POST"): "beat",
    ("drain", "POST"): "drain",
}

_logger = logging.getLogger("hydra_asgi.control")


@dataclass(frozen=True, slots=True)
class ReadyState:
    """What `/h/ready` says.

    Attributes:
        status: `starting` and `draining` answer 503; `degraded` serves from the last known directory.
        why: one sentence, unless all is well.
        lasts: seconds since it became so; None where that says nothing.
    """

    status: Literal["ok", "starting", "draining", "degraded"] = "ok"
    why: str = ""
    lasts: float | None = None

    @property
    def is_ready(self) -> bool:
        """Whether requests may be sent here."""
        return self.status in {"ok", "degraded"}


class ControlPlane:
    """Dispatches control-plane calls.

    Args:
        guard: knows the path key.
        ready: the node's state now.
        registrations: takes services; None on a node that is not a gateway.
        ask: answers fragment requests of services (C3); None likewise.
        render: renders this node's own fragments (C4); None on a node that is not a service.
        drain: takes this node out of the site; None where nobody may.
        metrics: answers `/h/metrics`, and decides who may see it; None where nobody may.
        tell: is told about refused calls of services.
        clock: seconds that only move forward, for the log's quiet minute.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        ready: Callable[[], ReadyState],
        registrations: RegistrationDesk | None = None,
        ask: ASGI3Application | None = None,
        render: ASGI3Application | None = None,
        drain: ASGI3Application | None = None,
        metrics: ASGI3Application | None = None,
        tell: Hook = lambda event, /: None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._guard = guard
        self._ready = ready
        self._metrics = metrics
        self._tell = tell
        self._clock = clock
        self._logged: Recent[tuple[str, str], bool] = Recent(seconds=QUIET_SECONDS, size=1_000)
        self._calls: dict[tuple[str, str], dict[str, Handler]] = {}
        if registrations is not None:
            self._calls["discovery", "registration"] = {
                "POST": registrations.register,
                "DELETE": registrations.leave,
            }
            self._calls["discovery", "alive"] = {"POST": registrations.beat}
            self._calls["discovery", "drain"] = {"POST": registrations.drain}
        if ask is not None:
            self._calls["discovery", "requestFragment"] = {"POST": ask}
        if render is not None:
            self._calls["fragment", "requestFragment"] = {"POST": render}
        if drain is not None:
            self._calls["node", "drain"] = {"POST": drain}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one call. As an app of its own it also takes lifespan and refuses WebSockets."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        match relative_path(scope).split("/"):
            case ["", "h", "live"]:
                await self._health(scope, send, ReadyState())
            case ["", "h", "ready"]:
                await self._health(scope, send, self._ready())
            case ["", "h", "metrics"] if self._metrics is not None:
                await self._metrics(scope, receive, send)
            case ["", "h", place, key, call] if (place, call) in self._calls and self._guard.check_key(key):
                await self._dispatch(self._calls[place, call], scope, receive, send)
            case _:
                # A wrong key looks like any other path that is not there.
                await reply_empty(send, 404)

    async def _health(self, scope: HTTPScope, send: ASGISendCallable, state: ReadyState) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            await reply_empty(send, 405, headers=[(b"allow", b"GET, HEAD")])
            return
        value: dict[str, object] = {"status": state.status}
        if state.why:
            value["why"] = state.why
        if state.lasts is not None:
            # The time for people, who compare it with logs; the seconds for whoever counts.
            since = datetime.fromtimestamp(round(self._guard.now - state.lasts), UTC)
            value["since"], value["seconds"] = since.isoformat().replace("+00:00", "Z"), round(state.lasts, 1)
        headers = [] if state.is_ready else [(b"retry-after", b"1")]
        await reply_json(send, 200 if state.is_ready else 503, value, headers=headers)

    async def _dispatch(
        self, methods: dict[str, Handler], scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        handler = methods.get(scope["method"])
        if handler is None:
            await reply_empty(send, 405, headers=[(b"allow", ", ".join(methods).encode())])
            return
        try:
            await handler(scope, receive, send)
        except RefusedError as refusal:
            self._refused(scope, refusal.status, refusal.reason)
            await reply_refusal(send, refusal, now=self._guard.now)
        except StoreError as error:
            self._refused(scope, 503, str(error))
            away = RefusedError(503, "the directory is not available; try again in a second")
            await reply_refusal(send, away, now=self._guard.now)

    def _refused(self, scope: HTTPScope, status: int, reason: str) -> None:
        action = _ACTIONS.get((relative_path(scope).rpartition("/")[2], scope["method"]))
        if action is not None:
            self._tell(RegistrationRecord(action, "", None, "", status))
        self._log(scope, status, reason)

    def _log(self, scope: HTTPScope, status: int, reason: str) -> None:
        who, now = caller_ip(scope) or "unknown", self._clock()
        if self._logged.get((who, reason), now):
            return
        self._logged.put((who, reason), True, now)
        # Reasons quote what callers sent; one event stays one line.
        shown = "".join(letter if letter.isprintable() else "?" for letter in reason)
        _logger.warning(
            "%s %s from %s refused with %d: %s", scope["method"], redacted(scope["path"]), who, status, shown
        )


def relative_path(scope: HTTPScope) -> str:
    """The path below the mount point. Servers and frameworks disagree on whether `path` includes `root_path`."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    return path


def redacted(path: str) -> str:
    """A control-plane path for the log, without the key."""
    parts = path.split("/")
    if "h" in parts:
        at = parts.index("h") + 2
        if len(parts) > at and parts[at]:
            parts[at] = "***"
    return "/".join(parts).encode("unicode_escape").decode()[:200]
