"""`hydra-asgi drain` and `undrain`: takes a node or an instance out of the site before its process is stopped."""

import http.client
import json
import secrets
import sys
import time
from dataclasses import dataclass
from typing import Annotated

import typer

from hydra_asgi.cli.drain_instance import drain_instance
from hydra_asgi.cli.shared_store import StoreUrl
from hydra_asgi.core.admission.signature import sign
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options import read_url

__all__ = ["drain", "undrain"]

CALL_SECONDS = 5.0
PAUSE_SECONDS = 0.2
MAX_REPLY = 65536


INSTANCE = "A token, or service@address; `hydra-asgi instances` lists both."


def drain(
    instance: Annotated[
        str | None, typer.Argument(help=f"Drain this one through the store. {INSTANCE} Without it the node at --url.")
    ] = None,
    store: StoreUrl = None,
    key: Annotated[str | None, typer.Option(envvar="HYDRA_KEY", help="The key of the site.")] = None,
    secret: Annotated[str | None, typer.Option(envvar="HYDRA_SECRET", help="What calls are signed with.")] = None,
    url: Annotated[str, typer.Option(envvar="HYDRA_ADDRESS", help="The node.")] = "http://127.0.0.1:8000",
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds until all who send requests know; a load balancer may need more.")
    ] = 1.0,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait after that for what is still served.")] = 10.0,
) -> None:
    """Take a node or an instance out of the site, so that its process can be stopped without a lost request.

    Without INSTANCE the node at --url is asked, and the command ends when nobody sends it requests any more: for a hook
    that runs before the process is stopped. With several workers each has to be told: use SIGTERM there.

    With INSTANCE the shared store is told, from wherever it can be reached; all its workers are drained, until
    `hydra-asgi undrain` or a new process behind the same address.
    """
    if instance is not None:
        sys.stdout.write(drain_instance(store, instance, draining=True) + "\n")
        return
    _drain_node(url, key, secret, settle, wait)


def undrain(
    instance: Annotated[str, typer.Argument(help=INSTANCE)],
    store: StoreUrl = None,
) -> None:
    """Let an instance that was drained take users again."""
    sys.stdout.write(drain_instance(store, instance, draining=False) + "\n")


def _drain_node(url: str, key: str | None, secret: str | None, settle: float, wait: float) -> None:
    try:
        if not key or not secret:
            missing = "--secret or HYDRA_SECRET" if key else "--key or HYDRA_KEY"
            raise ConfigurationError(
                f"a node drains for who knows its site: give {missing}; or name an instance, to drain it through the "
                "store"
            )
        call = _Call(read_url(url, "--url"), key, secret)
        ongoing = call()
        time.sleep(settle)
        until = time.monotonic() + wait
        while ongoing := call():
            if time.monotonic() >= until:
                break
            time.sleep(PAUSE_SECONDS)
    except (ConfigurationError, _RefusedError) as error:
        sys.stderr.write(f"hydra-asgi: {error}\n")
        raise typer.Exit(2) from None
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"hydra-asgi: {url} cannot be reached: {error}\n")
        raise typer.Exit(1) from None
    sys.stdout.write(f"drained; {ongoing or 'no'} requests are still served\n")


class _RefusedError(Exception):
    """The node does not do it; the text says why."""


@dataclass(frozen=True, slots=True)
class _Call:
    """The call to one node; how many requests it still serves."""

    node: Address
    key: str
    secret: str

    def __call__(self) -> int:
        status, headers, body = self._send(time.time())
        if status == 401 and (server_time := headers.get("hydra-time", "")).isdigit():
            status, headers, body = self._send(float(server_time))
        if status == 404:
            raise _RefusedError(f"{self.node} knows no such key, or is no node of this version")
        try:
            answer = json.loads(body)
            if status == 200:
                return int(answer["ongoing"])
            reason = str(answer["reason"])
        except (ValueError, KeyError, TypeError):
            reason = "the answer is none of a node"
        raise _RefusedError(f"{self.node} answered {status}: {reason[:300]}")

    def _send(self, now: float) -> tuple[int, http.client.HTTPMessage, bytes]:
        path = f"/h/node/{self.key}/drain"
        body = b"{}"
        signature = sign(self.secret, method="POST", path=path, body=body, time=now, nonce=secrets.token_hex(16))
        kind = http.client.HTTPSConnection if self.node.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.node.host, self.node.port, timeout=CALL_SECONDS)
        try:
            fields = {"content-type": "application/json", "hydra-signature": signature}
            connection.request("POST", self.node.base + path, body, fields)
            response = connection.getresponse()
            return response.status, response.headers, response.read(MAX_REPLY)
        finally:
            connection.close()
