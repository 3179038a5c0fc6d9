"""Single signed calls to a gateway's control plane, with the time they took."""

import http.client
import time
from dataclasses import dataclass

from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.service.signer import Signer
from hydra_asgi.wire.announcement import registration_json
from tests.faults.fleet import KEY, SECRET, Member

__all__ = ["Called", "Caller"]


@dataclass(frozen=True, slots=True)
class Called:
    """What a call came to."""

    status: int
    body: bytes
    headers: dict[str, str]
    seconds: float


class Caller:
    """One instance that says its calls one by one.

    Args:
        instance: who calls.
        lease: its lease's name, at least 16 characters.
        ahead: seconds by which its clock is ahead.
    """

    def __init__(self, instance: ServiceInstance, lease: str, *, ahead: float = 0.0) -> None:
        self._instance = instance
        self._lease = lease
        self._signer = Signer(SECRET, clock=lambda: time.time() + ahead)

    def register(self, gateway: Member) -> Called:
        """Announce the instance."""
        body = registration_json(self._instance, self._lease)
        return self._call(gateway, "POST", "registration", body, "application/json")

    def beat(self, gateway: Member) -> Called:
        """Renew its lease."""
        return self._call(gateway, "POST", "alive", self._instance.service.encode(), "text/plain;charset=UTF-8")

    def leave(self, gateway: Member) -> Called:
        """End its lease."""
        return self._call(gateway, "DELETE", "registration", self._instance.service.encode(), "text/plain")

    def _call(self, gateway: Member, method: str, call: str, body: bytes, kind: str) -> Called:
        path = f"/h/discovery/{KEY}/{call}"
        signed = self._signer.for_lease(self._lease, method, path, body)
        fields = {"content-type": kind, **{name.decode(): value.decode() for name, value in signed}}
        connection = http.client.HTTPConnection(gateway.host, gateway.serves, timeout=10)
        began = time.monotonic()
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            said = response.read()
            took = time.monotonic() - began
            return Called(response.status, said, {name.lower(): value for name, value in response.getheaders()}, took)
        finally:
            connection.close()
