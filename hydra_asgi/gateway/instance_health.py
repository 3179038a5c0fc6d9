"""What a node has learnt about instances from its own requests, and in which order it therefore asks them.

One object for all that asks instances: a page that was forwarded in vain spares the fragments the same detour.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterator

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.events import EjectionRecord
from hydra_asgi.core.health.instance_record import Change, InstanceRecord
from hydra_asgi.core.health.outlier import Key, Outliers
from hydra_asgi.core.health.preference import Standing, preferred
from hydra_asgi.core.health.retry_budget import RetryBudgets
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Clock, Upstream, UpstreamRequest, UpstreamResponse

__all__ = ["GATEWAY_ERRORS", "SERVER_ERRORS", "InstanceHealth"]

_logger = logging.getLogger("hydra_asgi.health")

SERVER_ERRORS = frozenset({500, 502, 503, 504})
"""Answers that say more about an instance than about the request; 501 and 505 do not."""

GATEWAY_ERRORS = SERVER_ERRORS - {500}
"""The same for peers that answer 500 to a question they only do not know."""

_NOT_ITS_FAULT = frozenset(
    {ErrorKind.NO_INSTANCE, ErrorKind.OVERLOADED, ErrorKind.LOOP, ErrorKind.CLIENT_GONE, ErrorKind.CLIENT_SLOW}
)


class InstanceHealth:
    """Remembers outcomes, and answers who is asked first.

    Args:
        clock: seconds that only move forward.
        log: gets a line when an instance is ejected and when it is back.
        on_change: told the same. Must not raise.

    Attributes:
        budgets: of retries, by service.
    """

    def __init__(
        self,
        *,
        clock: Clock = time.monotonic,
        log: logging.Logger = _logger,
        on_change: Callable[[EjectionRecord], None] | None = None,
    ) -> None:
        self._clock = clock
        self._log = log
        self._on_change = on_change
        self._outliers = Outliers()
        self.budgets = RetryBudgets()

    def order(self, group: Group, key: str, first: ServiceInstance | None = None) -> Iterator[ServiceInstance]:
        """The instances of a group for a key, best first.

        A key keeps its instance as long as nothing speaks against that one; those that are ejected come last, unless
        too many are. What comes after the first is decided when it is asked for.

        Args:
            group: the instances.
            key: the user's.
            first: what the group picks for the key, where that is known already.
        """
        first = first or group.pick(key)
        if first is None:
            return
        is_good = self._outliers.standing(_key(first), self._clock()) is Standing.GOOD
        if is_good:
            yield first
        yield from self.others(group, key, first if is_good else None)

    def others(self, group: Group, key: str, asked: ServiceInstance | None) -> Iterator[ServiceInstance]:
        """The instances of a group for a key, best first, without the one that was asked already."""
        rest = [instance for instance in group.order(key) if instance is not asked]
        now = self._clock()
        for place in preferred([self._outliers.standing(_key(instance), now) for instance in rest]):
            yield rest[place]

    def is_trial(self, group: Group, instance: ServiceInstance) -> bool:
        """Whether asking this instance only finds out how it is, while another one of the group is well."""
        if len(group.instances) == 1:
            return False
        now = self._clock()
        if not self._outliers.is_doubted(_key(instance), now):
            return False
        others = (member.instance for pool in group.versions for member in pool.members)
        return any(other is not instance and not self._outliers.is_doubted(_key(other), now) for other in others)

    def record(self, instance: ServiceInstance) -> InstanceRecord:
        """What is known of an instance, until it `is_forgotten`; whoever begins a request there also ends it."""
        return self._outliers.record(_key(instance))

    def count_request(self, service: str) -> None:
        """A client's request to a service is to be sent for the first time: it earns a part of a retry."""
        self.budgets.deposit(service, self._clock())

    def may_retry(self, service: str) -> bool:
        """Take one retry out of the service's budget; False when there is none."""
        return self.budgets.withdraw(service, self._clock())

    async def send(
        self,
        upstream: Upstream,
        instance: ServiceInstance,
        request: UpstreamRequest,
        *,
        errors: frozenset[int] = SERVER_ERRORS,
        patience: float = math.inf,
    ) -> UpstreamResponse:
        """Send a request to an instance and remember what came of it.

        Args:
            upstream: sends it.
            instance: who is asked.
            request: to it.
            errors: statuses that speak against the instance.
            patience: seconds; being cancelled after that means that the instance was too slow.

        Raises:
            UpstreamError: from the upstream.
        """
        record, began = self._outliers.record(_key(instance)), self._clock()
        number = record.begin(began)
        try:
            response = await upstream.send(request)
        except UpstreamError as error:
            self.failed(instance, record, number, error.kind)
            raise
        except asyncio.CancelledError:
            is_late = self._clock() - began >= patience
            self.failed(instance, record, number, ErrorKind.FIRST_BYTE_TIMEOUT if is_late else ErrorKind.CLIENT_GONE)
            raise
        except BaseException:
            record.dropped(number)
            raise
        self.answered(instance, record, number, response.status, errors)
        return response

    def answered(
        self,
        instance: ServiceInstance,
        record: InstanceRecord,
        number: int,
        status: int,
        errors: frozenset[int] = SERVER_ERRORS,
    ) -> None:
        """The request of a number was answered with a status.

        Args:
            instance: whose record it is.
            record: has the number from `begin`.
            number: of the request.
            status: of the answer.
            errors: statuses that speak against the instance.
        """
        change = record.answered(number, good=status not in errors, now=self._clock())
        if change is not None:
            self.tell(instance, change, f"status {status}")

    def broke_off(self, instance: ServiceInstance, kind: ErrorKind) -> None:
        """A response of it ended before its time, or could not be passed on."""
        if kind not in _NOT_ITS_FAULT:
            self.tell(instance, self._outliers.record(_key(instance)).broke_off(self._clock()), kind.value)

    def failed(self, instance: ServiceInstance, record: InstanceRecord, number: int, kind: ErrorKind) -> None:
        """The request of a number was not answered; arguments as for `answered`."""
        if kind in _NOT_ITS_FAULT:
            record.dropped(number)
            return
        refused = kind is ErrorKind.CONNECT_REFUSED
        self.tell(instance, record.failed(number, refused=refused, now=self._clock()), kind.value)

    def tell(self, instance: ServiceInstance, change: Change | None, last: str) -> None:
        """Tell that an instance was ejected, or is back.

        Args:
            instance: which.
            change: what its record says; None for nothing.
            last: what came last from it.
        """
        if change is None:
            return
        service, where = instance.service, instance.address.netloc
        if change.seconds:
            text = "instance ejected: service=%s instance=%s seconds=%g last=%s"
            self._log.warning(text, service, where, change.seconds, last)
        else:
            self._log.info("instance is back: service=%s instance=%s last=%s", service, where, last)
        if self._on_change is not None:
            self._on_change(EjectionRecord(service, instance.version, where, change.seconds, last))


def _key(instance: ServiceInstance) -> Key:
    return (instance.service, instance.address)
