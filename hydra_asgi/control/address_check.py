"""Whether requests can and may be sent to where a service says it is: resolve, check, connect back."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from hydra_asgi.core.admission.announced_address import IPNetwork, check_address
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import RefusedError
from hydra_asgi.ports import Prober

__all__ = ["AddressCheck"]

SECONDS = 1.6
"""A Medusa gives up on its registration after 2 s (CONTRACT.md 1.5) and should hear the reason before."""


class AddressCheck:
    """Checks announced addresses.

    Args:
        prober: asks the network.
        own: where this gateway itself listens, as (host, port).
        allowed: networks in which a service may announce an address that is not the caller's.
        seconds: how long resolving and connecting may take together.
    """

    def __init__(
        self,
        prober: Prober,
        *,
        own: Callable[[], Sequence[tuple[str, int]]] = tuple,
        allowed: Sequence[IPNetwork] = (),
        seconds: float = SECONDS,
    ) -> None:
        self._prober = prober
        self._own = own
        self._allowed = tuple(allowed)
        self._seconds = seconds

    async def __call__(self, announced: Address, caller: str, listener: tuple[str, int] | None = None) -> Address:
        """Check one address.

        Args:
            announced: its host is `""` when the caller's own address is meant.
            caller: the IP address of the call.
            listener: where the call came in; that is this gateway, even if nobody told it its address.

        Returns:
            The address, pinned to the IP address that was checked and answers.

        Raises:
            RefusedError: 422 or 403 as `check_address` says, 424 when it does not answer.
        """
        if not announced.host and not caller:
            raise RefusedError(422, "host: it is empty, and the address of the call is not known; announce a host")
        named = replace(announced, host=announced.host or caller)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._check(named, caller, [*self._own(), *([listener] if listener else [])])
        except TimeoutError:
            raise RefusedError(424, f"{named} cannot be reached: no answer within {self._seconds:g} s") from None

    async def _check(self, named: Address, caller: str, own: Sequence[tuple[str, int]]) -> Address:
        address = check_address(
            named.scheme,
            named.host,
            named.port,
            named.base,
            caller=caller,
            resolved=await self._prober.resolve(named.host),
            allowed=self._allowed,
            own=own,
        )
        reason = await self._prober.why_unreachable(address.pinned, address.port)
        if reason is not None:
            shown = "" if address.pinned == address.host else f" ({address.pinned})"
            raise RefusedError(424, f"{address}{shown} cannot be reached from the gateway: {reason}")
        return address
