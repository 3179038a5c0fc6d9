"""The client side of an unmodified Medusa (CONTRACT.md 1.5), whose timers are moved by hand."""

import json
from typing import Any

from tests.exchange import exchange, http_scope

__all__ = ["Medusa"]


class Medusa:
    """INITIALIZING, NOT_REGISTERED, REGISTERED.

    Args:
        app: the gateway.
        key: the path key.
        registration: the body it registers with.
        ip: where it calls from.
    """

    def __init__(self, app: Any, key: str, registration: dict[str, Any], ip: str = "127.0.0.1") -> None:
        self.state = "INITIALIZING"
        self.registration = registration
        self.role_mappings: dict[str, str] | None = None
        self.statuses: list[int] = []
        self._app = app
        self._key = key
        self._ip = ip

    def ready(self) -> None:
        """All pages are scanned."""
        self.state = "NOT_REGISTERED"

    async def second(self) -> None:
        """The one-second timer: C1 while not registered."""
        if self.state != "NOT_REGISTERED":
            return
        body = json.dumps(self.registration).encode()
        status, content_type, answer = await self._post("registration", b"application/json", body)
        if status != 200:
            return
        self.state = "REGISTERED"  # before the body is read
        if not answer:
            return
        try:
            assert content_type == b"application/json"
            assert len(answer) <= 262_144
            value = json.loads(answer)
            assert isinstance(value, dict)
            for service in value["services"] or []:
                for instance in service["activeServices"]:
                    assert instance["awakening"] in (None, "NEWEST_VERSION_WINS", "EQUAL_SHARE")
                    assert instance["webProtocol"] is not None
        except (AssertionError, ValueError, KeyError):
            self.state = "NOT_REGISTERED"
            return
        if value["publicKey"] is not None:
            self.role_mappings = value["roleMappings"]

    async def three_seconds(self) -> None:
        """The three-second timer: C2 while registered."""
        if self.state == "REGISTERED":
            name = self.registration["name"].encode()
            status, _, _ = await self._post("alive", b"text/plain;charset=UTF-8", name)
            if status != 200:
                self.state = "NOT_REGISTERED"

    async def _post(self, call: str, content_type: bytes, body: bytes) -> tuple[int, bytes | None, bytes]:
        headers = [(b"host", b"127.0.0.1:8080"), (b"accept", b"*/*"), (b"content-type", content_type)]
        scope = http_scope(f"/h/discovery/{self._key}/{call}", method="POST", headers=headers, client=(self._ip, 40000))
        answer = await exchange(self._app, scope, body)
        self.statuses.append(answer.status)
        return answer.status, answer.header(b"content-type"), answer.body
