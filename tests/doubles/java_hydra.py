"""A gateway that behaves as the Java one (CONTRACT.md 1.1 to 1.4, 2.6): 200 for unknown beats, 500 for any failure."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from tests.bare_asgi import body_of

__all__ = ["JavaHydra"]

LIFETIME = 5.0

Render = Callable[[str, dict[str, Any]], Awaitable[tuple[int, bytes]]]


class JavaHydra:
    """An ASGI app. `services` is what it lists, `calls` what it was asked.

    Args:
        key: the path key; C3 does not compare it.
        clock: seconds; a name lapses 5 s after its last registration or beat.
        render: asks a service for its fragments (C4): (service, body) -> (status, body).
    """

    def __init__(self, key: str, clock: Callable[[], float], render: Render | None = None) -> None:
        self.key = key
        self.calls: list[tuple[str, str, bytes]] = []
        self._clock = clock
        self._render = render
        self._services: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
        self._seen: dict[str, float] = {}

    @property
    def services(self) -> dict[str, list[dict[str, Any]]]:
        now = self._clock()
        return {
            name: list(instances.values())
            for name, instances in self._services.items()
            if now - self._seen[name] < LIFETIME
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await body_of(receive)
        self.calls.append((scope["method"], scope["path"], body))
        status, answer = await self._answer(scope["method"], scope["path"], body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        match method, path.split("/"):
            case "GET", ["", "health"]:
                return 200, b'{"status":"ok"}'
            case "GET", ["", "_h", "services"]:
                return 200, json.dumps(self.services).encode()
            case "POST", ["", "h", "discovery", _, "requestFragment"]:
                return await self._fragments(json.loads(body))
            case "POST", ["", "h", "discovery", self.key, "registration"]:
                return self._register(json.loads(body))
            case "POST", ["", "h", "discovery", self.key, "alive"]:
                if body.decode() in self.services:
                    self._seen[body.decode()] = self._clock()
                return 200, b"true"
            case _:
                return 404, b""

    def _register(self, instance: dict[str, Any]) -> tuple[int, bytes]:
        if instance.get("name") is None:
            return 500, b""
        identity = tuple(instance.get(field) for field in ("webProtocol", "host", "port", "socketPort"))
        name = instance["name"]
        if name not in self.services:
            self._services[name] = {}
        # The first object of an identity stays: sets do not replace equal members.
        self._services[name].setdefault(identity, instance)
        self._seen[name] = self._clock()
        listed = [{"serviceName": key, "activeServices": value} for key, value in self.services.items()]
        return 200, json.dumps({"publicKey": None, "services": listed, "roleMappings": {}}).encode()

    async def _fragments(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        answers: list[Any] = []
        for service, requests in asked["requests"].items():
            if service not in self.services or self._render is None:
                answers += [{"renderedHTML": None, "id": request["id"]} for request in requests]
                continue
            body = {"attributes": asked["attributes"], "requests": requests}
            status, answer = await self._render(service, body)
            if status != 200:
                return 500, b""
            if not answer:
                return 200, b""
            answers += json.loads(answer)
        return 200, json.dumps(answers).encode()
