"""One lease as the world outside the lease book sees it."""

from dataclasses import dataclass

__all__ = ["LeaseState"]


@dataclass(frozen=True, slots=True)
class LeaseState:
    """One lease as the store knows it.

    Attributes:
        id: the lease's own name: random for our nodes, made from the address for a Medusa.
        service: whose instance it keeps alive.
        caller: the IP address that announced it; a Medusa's beats are attributed by it.
        signed: announced with a valid signature. An unsigned call never replaces or ends a signed lease.
        active: its beats arrive in time.
        counter: the number that the signed call carried, 0 for a call without one. A lease takes only rising numbers.
    """

    id: str
    service: str
    caller: str = ""
    signed: bool = False
    active: bool = True
    counter: int = 0
