"""What this process knows of the directory in Redis, kept up to date by pages of changes. No I/O."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hydra_asgi.core.instance import Revision, ServiceInstance, Snapshot
from hydra_asgi.core.routing.token import MAX_TOKEN, MIN_TOKEN
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import StoreError
from hydra_asgi.wire.stored_document import StoredDocumentError
from hydra_asgi.wire.stored_instance import parse_instance
from hydra_asgi.wire.stored_settings import parse_settings

__all__ = ["CHAINS", "Moment", "Page", "Replica", "key_text", "read_moment"]

_logger = logging.getLogger("hydra_asgi.store")

CHAINS = 1 << 20
"""A chain is a number below this."""

ACTIVE, DRAINED = 1, 2
"""The bits of an instance's state."""

MIN_SHARED = 1_000
"""From here on values that are no longer used may be let go."""

MAX_REPORTED = 20
"""While so many entries are unreadable the log names no more of them; the metric counts them all."""

_SETTINGS_OF = b"settings "
"""Before a service's name, to tell its settings from instances, which go by their tokens."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Moment:
    """One state of the directory in Redis.

    Attributes:
        epoch: its life.
        revision: how many changes it has seen.
        chain: tells two histories apart that have as many changes, as after a failover that lost the last ones.
    """

    epoch: str = ""
    revision: int = 0
    chain: int = 0

    @property
    def outer(self) -> Revision:
        """As the rest of the library sees it: one number that rises with every change."""
        return Revision(self.epoch, self.revision * CHAINS + self.chain)


def read_moment(answer: bytes) -> tuple[Moment, tuple[int, int] | None]:
    """Read `epoch revision chain`, and how many instances of how many went silent together, if that is said too.

    Raises:
        StoreError: it is something else.
    """
    try:
        epoch, *numbers = answer.decode().split(" ")
        revision, chain, *alarm = map(int, numbers)
        if alarm:
            going, total = alarm
            return Moment(epoch, revision, chain), (going, total)
        return Moment(epoch, revision, chain), None
    except (AttributeError, ValueError):
        raise StoreError(f"Redis answered {str(answer)[:80]!r}, which is no revision") from None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the script `snapshot`.

    Attributes:
        moment: the directory's state when it was made.
        alarm: how many instances of how many went silent together.
        anew: what was known does not count any more.
        through: changes up to this revision are in it.
        told: the revision of the settings.
        held: how many instances stay listed although they went silent, together with most others.
        settings: documents by service; empty when the known ones are still right.
        gone: tokens of instances that left.
        instances: token, order, state, document and key, each.
    """

    moment: Moment
    alarm: tuple[int, int] | None
    anew: bool
    through: int
    told: int
    held: int
    settings: list[bytes]
    gone: list[bytes]
    instances: list[tuple[bytes, int, int, bytes, bytes]]

    @classmethod
    def read(cls, answer: list[Any]) -> "Page":
        """Take the script's answer apart. Its shape is the script's, so it is not looked at again."""
        moment, anew, through, told, held, settings, gone, flat = answer
        instances = list(zip(*[iter(flat)] * 5, strict=True))
        return cls(*read_moment(moment), bool(anew), through, told, held, settings, gone, instances)

    @property
    def is_last(self) -> bool:
        """Whether nothing is left to be taken."""
        return self.through >= self.moment.revision


class Replica:
    """The directory as far as it was taken over. Entries that cannot be read are left out, and reported once.

    Attributes:
        reported: how many entries were found unreadable so far.
    """

    def __init__(self) -> None:
        self.reported = 0
        self._known = Moment()
        self._base = 0
        self._after = 0
        self._told = 0
        self._announced: dict[bytes, ServiceInstance] = {}
        self._listed: dict[bytes, ServiceInstance] = {}
        self._settings: Mapping[str, ServiceSettings] = {}
        self._held = 0
        self._unreadable: set[bytes] = set()
        self._reasons: dict[bytes, str] = {}
        self._shared: dict[object, Any] = {}

    def question(self) -> tuple[str | int, ...]:
        """What the script is told: the known moment, what was taken since, and which settings are known."""
        return (self._known.epoch, self._known.revision, self._known.chain, self._after, self._base, self._told)

    def take(self, page: Page) -> Iterator[None]:
        """Take a page over, a document at each step, so that the caller can let others work in between."""
        if page.anew:
            # The moment of the first page names the history that the others have to belong to.
            self._known, self._base, self._announced, self._listed = page.moment, 0, {}, {}
            self._unreadable.clear()
        for token in page.gone:
            self._forget(token)
            self._unreadable.discard(token)
        for entry in page.instances:
            self._take(*entry)
            yield
        if page.told != self._told or page.anew:
            self._take_settings(page.settings)
            self._told = page.told
        self._after = page.through
        if page.is_last:
            self._known, self._base, self._after = page.moment, page.moment.revision, page.moment.revision
            self._held = page.held
            self._reasons = {entry: self._reasons[entry] for entry in self._unreadable}

    def snapshot(self) -> Snapshot:
        """The directory at the last moment that was taken over whole."""
        instances = tuple(sorted(self._listed.values(), key=_order))
        return Snapshot(self._known.outer, instances, self._settings, self._held, len(self._unreadable))

    def _take(self, token: bytes, order: int, state: int, document: bytes, key: bytes) -> None:
        if document:
            read = self._parse(token, document, key)
            if read is None:
                self._forget(token)
                return
            self._announced[token] = replace(
                read,
                token=int(token),
                order=order,
                routes=self._share(read.routes),
                resources=self._share(read.resources),
                fragments=self._share(read.fragments),
                menu_items=self._share(read.menu_items),
            )
        announced = self._announced.get(token)
        if announced is not None:  # it may have been unreadable before
            weight = 0.0 if state & DRAINED else announced.weight
            self._listed[token] = replace(announced, active=bool(state & ACTIVE), weight=weight)

    def _share(self, value: T) -> T:
        """The same value as before, where an equal one is known: instances of a service differ in little more than
        their addresses, and a million small objects would hold up the loop whenever Python looks through them.
        """
        if len(self._shared) > MIN_SHARED + len(self._announced):
            self._shared.clear()
        shared: T = self._shared.setdefault(value, value)
        return shared

    def _forget(self, token: bytes) -> None:
        self._announced.pop(token, None)
        self._listed.pop(token, None)

    def _parse(self, token: bytes, document: bytes, key: bytes) -> ServiceInstance | None:
        entry = key.decode(errors="replace")
        try:
            if not (token.isdigit() and MIN_TOKEN <= int(token[:11]) <= MAX_TOKEN):
                raise StoredDocumentError(entry, f"its token is {token[:20]!r}")
            instance = parse_instance(document, entry)
            if key_text(instance) != entry:
                raise StoredDocumentError(entry, f"it is that of {key_text(instance)[:200]!r}")
        except StoredDocumentError as error:
            self._report(token, error)
            return None
        self._unreadable.discard(token)
        return instance

    def _take_settings(self, flat: list[bytes]) -> None:
        settings = {}
        self._unreadable = {entry for entry in self._unreadable if not entry.startswith(_SETTINGS_OF)}
        for name, document in zip(*[iter(flat)] * 2, strict=True):
            service = name.decode(errors="replace")
            try:
                settings[service] = parse_settings(document, service)
            except StoredDocumentError as error:
                self._report(_SETTINGS_OF + name, error)
        self._settings = settings

    def _report(self, entry: bytes, error: StoredDocumentError) -> None:
        self._unreadable.add(entry)
        if self._reasons.get(entry) == error.reason:
            return
        self._reasons[entry] = error.reason
        self.reported += 1
        if len(self._reasons) <= MAX_REPORTED:
            _logger.warning("%s; it is left out", error)


def key_text(instance: ServiceInstance) -> str:
    """An instance's identity in one piece; a service's name has no space."""
    return " ".join(instance.key)


def _order(instance: ServiceInstance) -> int:
    return instance.order
