"""What a visitor is told when forwarding failed: in a few words, and never whose fault it was inside."""

from collections.abc import Mapping
from typing import Any

from asgiref.typing import ASGISendCallable

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.gateway.answers import answer

__all__ = ["explain"]

_WORDS = {
    503: ("Not available right now", "{service} cannot be reached. Please try again in a moment."),
    408: ("Request not complete", "The rest of this request did not arrive. Please send it again."),
    504: ("No answer in time", "{service} took too long. Please try again in a moment."),
    508: ("Going in circles", "This request came back to where it had been before."),
}
_BUSY = ("Very busy right now", "{service} has more to do than it can. Please try again in a moment.")
_OTHER_WORDS = ("No usable answer", "{service} gave an answer that cannot be shown. Please try again in a moment.")


async def explain(kind: ErrorKind, scope: Mapping[str, Any], send: ASGISendCallable, service: str) -> None:
    """Answer a request that no instance could answer; arguments as for `answer`."""
    status = OUTCOMES[kind].status
    title, detail = _BUSY if kind is ErrorKind.OVERLOADED else _WORDS.get(status, _OTHER_WORDS)
    detail = detail.format(service=service or "This page")
    await answer(send, status, title, detail, scope=scope, kind=kind, close=status == 408)
