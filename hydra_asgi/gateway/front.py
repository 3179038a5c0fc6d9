"""The front of a gateway: every request that is not for the control plane comes through here.

It reads the directory's state once and keeps it for the whole request; nothing on this path waits for the store.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, cast

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope, WebSocketScope

from hydra_asgi.core.directory.directory_state import DirectoryState
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.request_check import check_request
from hydra_asgi.core.instance import RouteKind, ServiceInstance
from hydra_asgi.core.routing.own_path import own_raw_path
from hydra_asgi.core.routing.raw_path import PathError, split_raw_path
from hydra_asgi.core.routing.weight_key import cookie_field, may_set_cookie, read_key
from hydra_asgi.core.routing.who_answers import Addressed, Forward, Local, Unavailable, who_answers
from hydra_asgi.gateway.answers import answer
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarded_pages import ForwardedPages
from hydra_asgi.gateway.own_instance import OwnInstance
from hydra_asgi.gateway.static_target import service_static_target, token_target
from hydra_asgi.gateway.websocket_denial import answer_handshake
from hydra_asgi.gateway.websocket_forward import WebSocketForwarder

__all__ = ["GatewayFront", "Serve", "with_cookie"]

_MAX_TOKEN_DIGITS = 10

_CARRIES_A_COOKIE = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
"""A browser takes cookies from the answer to a handshake, too (RFC 6455 section 4.1)."""


class Serve(Protocol):
    """Serves a request by the mounted app (`service.mounted_app`)."""

    def __call__(
        self,
        scope: Scope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        *,
        key: str = "",
        target: bytes | None = None,
    ) -> Awaitable[None]:
        """Run one request."""
        ...


class GatewayFront:
    """Decides who answers, and lets them.

    Args:
        state: the directory's present state.
        is_starting: whether a route that is not known may still be announced, just after the start.
        serve: the mounted app.
        forward: sends a request to another instance.
        forward_socket: the same for WebSockets.
        compose: fills the tags in pages of instances that cannot do so themselves.
        mint: makes a new weight key.
        spread: makes a key for a request that needs none to be kept: it only spreads load over instances.
    """

    def __init__(
        self,
        *,
        state: Callable[[], DirectoryState],
        is_starting: Callable[[], bool],
        serve: Serve,
        forward: Forwarder,
        forward_socket: WebSocketForwarder,
        compose: ForwardedPages | None = None,
        mint: Callable[[], str],
        spread: Callable[[], str],
    ) -> None:
        self._state = state
        self._is_starting = is_starting
        self._serve = serve
        self._forward = forward
        self._forward_socket = forward_socket
        self._compose = compose
        self._mint = mint
        self._spread = spread

    async def __call__(
        self, scope: HTTPScope | WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Answer one request."""
        problem = check_request(scope)
        if problem is not None:
            await _refuse(scope, send, problem.status, problem.reason, close=problem.close)
            return
        raw = own_raw_path(scope)
        try:
            segments = split_raw_path(raw)
        except PathError as error:
            await _refuse(scope, send, error.status, error.reason)
            return
        state = self._state()
        key = read_key(cast("list[tuple[bytes, bytes]]", scope["headers"]))
        if not key and state.needs_key:
            key = self._mint()
            send = with_cookie(send, key, secure=scope.get("scheme") in ("https", "wss"))
        await self._answer(scope, receive, send, state, segments, raw, key or self._spread())

    async def _answer(
        self,
        scope: HTTPScope | WebSocketScope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        state: DirectoryState,
        segments: tuple[str, ...],
        raw: bytes,
        key: str,
    ) -> None:
        is_http = scope["type"] == "http"
        decision = who_answers(
            state,
            segments,
            scope["method"] if scope["type"] == "http" else "GET",
            key=key,
            kind=RouteKind.HTTP if is_http else RouteKind.WEBSOCKET,
            host=_host(scope),
            chosen=_chosen(scope),
            headers=cast("list[tuple[bytes, bytes]]", scope["headers"]),
        )
        match decision:
            case Local(known=False) if is_http and self._is_starting():
                await self._unavailable(scope, send, "", "The site is starting and does not know all of its pages yet.")
            case Local():
                target = _target(decision.addressed, raw, state.own)
                await self._serve(scope, receive, send, key=key, target=target)
            case Unavailable():
                await self._unavailable(scope, send, decision.service, f"{decision.service} {decision.why}.")
            case Forward():
                target = _target(decision.addressed, raw, decision.instance)
                if target is None and decision.addressed is not Addressed.NOTHING:
                    await _not_found(scope, send)
                    return
                target, query = target or raw, scope["query_string"]
                exact = target + b"?" + query if query else target
                group, local = decision.group, self._own_turn(state, decision, raw, key)
                if scope["type"] != "http":
                    await self._forward_socket(scope, receive, send, group=group, key=key, target=exact, local=local)
                    return
                first = decision.instance
                if first.compose and self._compose is not None:
                    forward = partial(self._forward, group=group, key=key, target=exact, local=local, first=first)
                    await self._compose(forward, scope, receive, send, service=group.service, key=key)
                    return
                await self._forward(scope, receive, send, group=group, key=key, target=exact, local=local, first=first)

    def _own_turn(self, state: DirectoryState, decision: Forward, raw: bytes, key: str) -> OwnInstance | None:
        """How the mounted app serves a request of its own service, for when its turn comes after others failed."""
        own = state.own
        if own is None or own.service != decision.group.service:
            return None
        target = _target(decision.addressed, raw, own)
        return OwnInstance(own, lambda scope, receive, send: self._serve(scope, receive, send, key=key, target=target))

    @staticmethod
    async def _unavailable(
        scope: HTTPScope | WebSocketScope, send: ASGISendCallable, service: str, detail: str
    ) -> None:
        if scope["type"] == "http":
            await answer(send, 503, "Not available", detail, scope=scope, kind=ErrorKind.NO_INSTANCE)
        else:
            await answer_handshake(scope, send, 503, "Not available", detail, kind=ErrorKind.NO_INSTANCE)


def _target(addressed: Addressed, raw: bytes, instance: ServiceInstance | None) -> bytes | None:
    """Where an addressed path leads at an instance; None when it is not addressed, or there is no such thing."""
    if addressed is Addressed.NOTHING or instance is None:
        return None
    return token_target(raw, instance) if addressed is Addressed.TOKEN else service_static_target(raw, instance)


def _host(scope: HTTPScope | WebSocketScope) -> str:
    for name, value in scope["headers"]:
        if name == b"host":
            return value.decode("latin-1")
    return ""


def _chosen(scope: HTTPScope | WebSocketScope) -> int:
    """The token of the instance that the node before us has chosen; 0 for none."""
    for name, value in scope["headers"]:
        if name == b"hydra-path":
            return int(value) if value.isdigit() and len(value) <= _MAX_TOKEN_DIGITS else 0
    return 0


def with_cookie(send: ASGISendCallable, key: str, *, secure: bool) -> ASGISendCallable:
    """Let the response keep the key with the user, unless a shared cache may keep the response.

    No cache keeps a WebSocket that was accepted.
    """

    async def send_with_cookie(message: Any) -> None:
        kind = message["type"]
        if kind in _CARRIES_A_COOKIE:
            headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            if kind == "websocket.accept" or may_set_cookie(headers):
                headers.append((b"set-cookie", cookie_field(key, secure=secure)))
                message = {**message, "headers": headers}
        await send(message)

    return send_with_cookie


async def _not_found(scope: HTTPScope | WebSocketScope, send: ASGISendCallable) -> None:
    if scope["type"] == "http":
        await answer(send, 404, "Not found", "There is no such file.", scope=scope)
    else:
        await answer_handshake(scope, send, 404, "Not found", "There is no such socket.")


async def _refuse(
    scope: HTTPScope | WebSocketScope,
    send: ASGISendCallable,
    status: int,
    reason: str,
    *,
    close: bool = False,
) -> None:
    """An answer of our own; a WebSocket's handshake is denied, with that answer where the server can."""
    if scope["type"] == "http":
        await answer(send, status, "Request refused", reason, scope=scope, close=close)
    else:
        await answer_handshake(scope, send, status, "Request refused", reason)
