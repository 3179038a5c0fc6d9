"""What a gateway answers to a registration and to a beat, and how our own service side reads it.

A Java client drops its registration when an answer passes 262,144 bytes (CONTRACT.md 1.3), so an answer never does:
first the list of services goes, which Java parses and never uses, then the overview, which the first beat brings.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hydra_asgi.core.directory.overview import Overview, ServiceView
from hydra_asgi.core.routing.template_dialects import to_spring
from hydra_asgi.errors import TemplateError
from hydra_asgi.wire.announcement import LIBRARY, PROTOCOL
from hydra_asgi.wire.overview import OverviewError, overview_value, parse_overview
from hydra_asgi.wire.strict_json import NotJsonError, dump_json, read_json

__all__ = ["MAX_ANSWER", "Answer", "AnswerWriter", "Beat", "parse_answer", "parse_beat"]

MAX_ANSWER = 262_144

TOKEN_ROOM = 32
"""Bytes for the token and what is around it."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A gateway's answer to a beat that it took.

    Attributes:
        overview: the new one, None when nothing is new.
        is_stale: the gateway cannot reach the store now, so the lease was not renewed there.
    """

    overview: Overview | None = None
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A gateway's answer to a registration.

    Attributes:
        is_hydra_asgi: a gateway of our kind; else a Java one, which has neither tokens nor overviews.
        token: our instance's name inside URLs, 0 when unknown.
        overview: the directory as the gateway sees it, None when it did not fit or is not there.
    """

    is_hydra_asgi: bool
    token: int = 0
    overview: Overview | None = None


class AnswerWriter:
    """Writes answers. The JSON of an overview is made once, however many services are told about it.

    When a site starts, or after a change, every service is told the same: a thousand times some milliseconds else.
    """

    def __init__(self) -> None:
        self._overview: Overview | None = None
        self._registration = self._beat = b""

    def registration(self, token: int, overview: Overview) -> bytes:
        """The answer to a registration, at most `MAX_ANSWER` bytes.

        Args:
            token: the caller's instance's name inside URLs.
            overview: the directory as we see it.
        """
        self._turn_to(overview)
        if not self._registration:
            self._registration = _registration_start(overview)
        return b'%b,"token":%d}}' % (self._registration, token)

    def beat(self, overview: Overview, known: str, *, is_stale: bool = False) -> bytes:
        """The answer to a beat of one of our own nodes: `true`, or the overview when theirs is another.

        Args:
            overview: the directory as we see it.
            known: the revision the node says it has.
            is_stale: the store is away, so the lease was not renewed there.
        """
        if known == overview.revision:
            return dump_json({"hydraAsgi": {"protocol": PROTOCOL, "stale": True}}) if is_stale else b"true"
        self._turn_to(overview)
        if not self._beat:
            told = {"hydraAsgi": {"protocol": PROTOCOL, "overview": overview_value(overview)}}
            self._beat = dump_json(told).removesuffix(b"}}")
        return self._beat + (b',"stale":true}}' if is_stale else b"}}")

    def _turn_to(self, overview: Overview) -> None:
        # Identity, not equality: a directory keeps its overview until it has another one.
        if overview is not self._overview:
            self._overview, self._registration, self._beat = overview, b"", b""


def parse_answer(body: bytes) -> Answer:
    """Read the answer to a registration. Whatever is not of our kind is a Java gateway's; nothing is an error.

    A wrong overview does not undo a registration: the beats bring another one.
    """
    ours = _ours(body)
    if ours is None:
        return Answer(is_hydra_asgi=False)
    token = ours.get("token")
    return Answer(True, token if isinstance(token, int) else 0, _overview(ours))


def parse_beat(body: bytes) -> Beat:
    """Read the answer to a beat. What cannot be read says nothing."""
    ours = _ours(body)
    return Beat() if ours is None else Beat(_overview(ours), ours.get("stale") is True)


def _ours(body: bytes) -> dict[str, object] | None:
    try:
        value = read_json(body)
    except NotJsonError:
        return None
    ours = value.get("hydraAsgi") if isinstance(value, dict) else None
    return ours if isinstance(ours, dict) else None


def _overview(ours: dict[str, object]) -> Overview | None:
    try:
        return None if ours.get("overview") is None else parse_overview(ours["overview"])
    except OverviewError:
        return None


def _registration_start(overview: Overview) -> bytes:
    """The answer to a registration up to the token, which comes last."""
    told = overview_value(overview)
    shapes: tuple[tuple[Callable[[], list[object]], object], ...] = (
        (lambda: [*map(_java_service, overview.services)], told),
        (list, told),
    )
    for services, value in shapes:
        start = _answer_start(services(), value)
        if len(start) <= MAX_ANSWER - TOKEN_ROOM:
            return start
    return _answer_start([], None)


def _answer_start(services: list[object], overview: object) -> bytes:
    ours = {"protocol": PROTOCOL, "library": LIBRARY, "overview": overview}
    # `roleMappings` must be an object and `publicKey` may be null: then Java skips its key handling.
    answer = {"publicKey": None, "services": services, "roleMappings": {}, "hydraAsgi": ours}
    return dump_json(answer).removesuffix(b"}}")


def _java_service(service: ServiceView) -> dict[str, object]:
    """One entry per version. Where the others live is not told: nobody needs it, and Java never reads it.

    Java keeps these in a set, so what it hashes (scheme, host, ports) is there and not null.
    """
    return {
        "serviceName": service.name,
        "activeServices": [
            {
                "webProtocol": "http",
                "host": "",
                "port": 0,
                "socketPort": 0,
                "name": service.name,
                "version": version,
                "activeSince": 0,
                "awakening": None,
                "endpoints": list(_patterns(service)),
                "sockets": [],
                "staticResources": [],
                "menuItems": {},
            }
            for version in service.versions
        ],
    }


def _patterns(service: ServiceView) -> Iterator[str]:
    for template in service.routes:
        try:
            yield to_spring(template)
        except TemplateError:
            continue
