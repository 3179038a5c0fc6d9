"""One request on the short way, and where it goes when that ends before its time."""

from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.request_id import with_request_id
from hydra_asgi.core.health.instance_record import InstanceRecord
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import ResponseCutError, UpstreamError
from hydra_asgi.gateway.express_ways import Hop
from hydra_asgi.gateway.forward import Begun, Forwarder
from hydra_asgi.gateway.front import with_cookie
from hydra_asgi.gateway.identified import answering
from hydra_asgi.gateway.observation import Progress
from hydra_asgi.gateway.request_body import RequestBody
from hydra_asgi.gateway.vigil import Vigil
from hydra_asgi.ports import UpstreamResponse

__all__ = ["Ride", "Terminus"]


class Ride(Vigil):
    """One request, from the decision on who gets it; watches over itself.

    Attributes:
        status: the status the client was told; 0 for none.
        began: when it began.
        body: its body; None where it has none.
        minted: a weight key that was made for it; empty where it came with one.
        has_place: it has a place among the requests to its service, which has to be given back.
    """

    status = 0
    body: RequestBody | None = None
    minted = ""
    has_place = True

    def __init__(
        self,
        scope: Any,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        group: Group,
        hop: Hop,
        target: bytes,
        key: str,
        request_id: str,
        began: float,
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.group = group
        self.hop = hop
        self.target = target
        self.key = key
        self.request_id = request_id
        self.began = began

    def named_scope(self) -> dict[str, Any]:
        """The scope as the complete way has it."""
        return {**self.scope, "headers": with_request_id(self.scope["headers"], self.request_id)}

    def progress(self) -> Progress:
        """What may be told of it."""
        progress = Progress(self.hop.service, self.scope["method"], self.began)
        progress.instance = self.hop.instance
        progress.attempts = 1
        progress.status = self.status
        progress.request_bytes = 0 if self.body is None else self.body.taken
        return progress


class Terminus:
    """Where the short way ends.

    Args:
        forward: goes on with what can go on.
    """

    def __init__(self, forward: Forwarder) -> None:
        self._forward = forward

    async def fail(self, ride: Ride, error: BaseException, record: InstanceRecord, number: int) -> None:
        """Go on after the instance gave no answer; raises what has nothing to do with it."""
        if isinstance(error, UpstreamError):
            self._forward.health.failed(ride.hop.instance, record, number, error.kind)
        else:
            record.dropped(number)
        meant = await ride.meaning(error)
        if isinstance(meant, UpstreamError):
            await self._go_on(ride, Begun(meant, ride.began, self._body(ride)))
            return
        self._tell_of_an_end(ride, meant)
        raise meant

    async def turn_back(self, ride: Ride, error: BaseException) -> None:
        """End before the instance was asked, because the request did not arrive."""
        if isinstance(error, UpstreamError):
            await self._go_on(ride, Begun(error, ride.began, self._body(ride)))
            return
        self._tell_of_an_end(ride, error)
        raise error

    async def hand_over(self, ride: Ride, response: UpstreamResponse) -> None:
        """Let the forwarder pass on a response that has not arrived as a whole, or look at it."""
        ride.end()
        await self._go_on(ride, Begun(response, ride.began, self._body(ride), ride.watch))

    async def break_off(self, ride: Ride, error: BaseException) -> None:
        """End after the client did not take its answer.

        Raises:
            ResponseCutError: it took too long; the server has to break the connection.
        """
        meant = await ride.meaning(error)
        if isinstance(meant, OSError):  # ASGI 2.4: `send` raises it when the client is gone
            meant = UpstreamError(ErrorKind.CLIENT_GONE, str(meant))
        self._tell_of_an_end(ride, meant)
        if not isinstance(meant, UpstreamError):
            raise meant
        if meant.kind is not ErrorKind.CLIENT_GONE:
            raise ResponseCutError(meant.kind, meant.detail) from None

    def tell(self, ride: Ride, response_bytes: int) -> None:
        """Tell of a request that went well."""
        progress = ride.progress()
        progress.response_bytes = response_bytes
        self._report(ride, progress)

    def _tell_of_an_end(self, ride: Ride, error: BaseException) -> None:
        progress = ride.progress()
        if isinstance(error, UpstreamError):
            progress.fail(error.kind, error.detail)
        elif not ride.status:
            progress.fail(ErrorKind.CLIENT_GONE, "ended from outside")
        self._report(ride, progress)

    def _report(self, ride: Ride, progress: Progress) -> None:
        self._forward.reporter.tell(progress, ride.named_scope(), self._forward.clock())

    def _body(self, ride: Ride) -> RequestBody:
        return ride.body or RequestBody(
            ride.scope, ride.receive, _nothing, self._forward.timeouts.idle, self._forward.lookout
        )

    async def _go_on(self, ride: Ride, begun: Begun) -> None:
        """Let the forwarder go on, which has the request's place from now on."""
        ride.has_place = False
        send = answering(ride.send, ride.request_id)
        if ride.minted:
            send = with_cookie(send, ride.minted, secure=ride.scope.get("scheme") == "https")
        await self._forward(
            ride.named_scope(),
            ride.receive,
            send,
            group=ride.group,
            key=ride.key,
            target=ride.target,
            first=ride.hop.instance,
            begun=begun,
        )


def _nothing() -> None:
    """Nobody waits for the request's channel."""
