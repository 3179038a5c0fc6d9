"""The body of a drain call: which instance takes no new users, or takes them again."""

from dataclasses import dataclass

from hydra_asgi.core.service_name import ServiceNameError, check_service_name
from hydra_asgi.errors import RefusedError
from hydra_asgi.wire.strict_json import NotJsonError, dump_json, read_json

__all__ = ["Drain", "drain_json", "parse_drain"]


@dataclass(frozen=True, slots=True)
class Drain:
    """One wish.

    Attributes:
        service: whose instance.
        token: which one.
        draining: False takes it back.
    """

    service: str
    token: int
    draining: bool = True


def drain_json(drain: Drain) -> bytes:
    """Write the body."""
    return dump_json({"service": drain.service, "token": drain.token, "draining": drain.draining})


def parse_drain(body: bytes) -> Drain:
    """Read the body.

    Raises:
        RefusedError: 400 or 422, it is not `{"service": name, "token": number, "draining": true or false}`.
    """
    try:
        value = read_json(body)
    except NotJsonError as error:
        raise RefusedError(400, f"the body is not JSON: {error}") from None
    match value:
        case {"service": str(service), "token": int(token), **others} if not isinstance(token, bool):
            draining = others.get("draining", True)
        case _:
            raise RefusedError(422, "the body must be an object with a service (text) and a token (number)")
    if not isinstance(draining, bool):
        raise RefusedError(422, "draining: must be true or false")
    try:
        return Drain(check_service_name(service), token, draining)
    except ServiceNameError as error:
        raise RefusedError(422, f"service: {error}") from None
