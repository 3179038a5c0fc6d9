"""What a list of field names says about how its message crosses a node, worked out once for each list.

Most messages are of a few shapes: the names that one kind of client or service sends. Where nothing in a shape asks for
a decision of its own, forwarding comes down to picking fields by their places. The places are those that
`header_policy` decides on, so there is one policy, not two; whatever is not plain has to go its whole way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from hydra_asgi.core.headers.field_names import MAX_JOINED_BYTES, REMEMBERED, FieldNames, read_names
from hydra_asgi.core.headers.forwarded import SAID_ONCE
from hydra_asgi.core.headers.header_fields import Fields
from hydra_asgi.core.headers.header_policy import (
    USUAL_OPTIONS,
    crosses_back,
    crosses_from_client,
    crosses_from_trusted,
    response_headers,
)
from hydra_asgi.core.headers.public_location import LOCATING
from hydra_asgi.core.headers.request_check import MAX_FIELDS
from hydra_asgi.core.headers.request_id import REQUEST_ID
from hydra_asgi.core.headers.trace_context import TRACE_NAMES
from hydra_asgi.core.instance import ServiceInstance

__all__ = ["RequestShape", "RequestShapes", "ResponseShape", "ResponseShapes"]

_ASKS_FOR_MORE: Final = frozenset(
    {b"expect", b"hydra-key", b"hydra-path", b"max-forwards", b"transfer-encoding", b"upgrade"}
)
"""Fields of a request that change what becomes of it, or what else has to be said."""

_Names = tuple[bytes, ...]
_Pick = Callable[[Sequence[Any]], Sequence[Any]]

MakePublic = Callable[[Fields, ServiceInstance | None], Fields]


@dataclass(frozen=True, slots=True, eq=False)
class RequestShape:
    """How requests with these names cross, where nothing in the names asks for more than picking places.

    Attributes:
        host: the place of the one host.
        length: the place of the one length; -1 for none.
        cookies: the places of cookies.
        connection: the places of connection options; those that are not usual ones are not plain.
        request_id: the place of the one request id; -1 for none. It does not cross: the request is named anew.
        trace: the places of a trace context, which is not plain unless it is sound.
        via: the places of the nodes that were passed; a loop is not plain.
        asks: one of these three is there, and has to be read.
        from_client: picks what crosses when the peer is anybody.
        from_trusted: picks what crosses when the peer is a proxy of ours.
        said: names about the first hop that a proxy of ours has said already.
    """

    host: int
    length: int
    cookies: tuple[int, ...]
    connection: tuple[int, ...]
    request_id: int
    trace: tuple[int, ...]
    via: tuple[int, ...]
    asks: bool
    from_client: _Pick
    from_trusted: _Pick
    said: frozenset[bytes]


@dataclass(frozen=True, slots=True, eq=False)
class ResponseShape:
    """How responses with these names cross.

    Attributes:
        names: the lower-case names that cross.
        pick: picks their values out of all values.
        connection: the places of connection options.
        has_request_id: the response names its request itself.
        locates: an address is among what crosses.
    """

    names: _Names
    pick: _Pick
    connection: tuple[int, ...]
    has_request_id: bool
    locates: bool


class RequestShapes(dict[_Names, RequestShape | None]):
    """The shapes of requests by their names in order, of those that came lately; None stands for what is not plain."""

    def __missing__(self, names: _Names) -> RequestShape | None:
        shape = _request_shape(names)
        _remember(self, names, shape)
        return shape


class ResponseShapes(dict[_Names, ResponseShape]):
    """The shapes of responses by their names in order, of those that came lately.

    Args:
        via: our own `Via` field.
        make_public: gives the fields with addresses that the public can reach, for an instance's answer.
    """

    def __init__(self, via: tuple[bytes, bytes], make_public: MakePublic | None = None) -> None:
        super().__init__()
        self._via = via
        self._make_public = make_public

    def __missing__(self, names: _Names) -> ResponseShape:
        shape = _response_shape(names)
        _remember(self, names, shape)
        return shape

    def crossing_back(self, headers: Fields, instance: ServiceInstance | None = None) -> tuple[Fields, bool]:
        """What a client is sent of a response's fields, as `response_headers`; and whether it names the request.

        Args:
            headers: the instance's fields.
            instance: the instance.
        """
        if not headers:
            return [self._via], False
        names, values = zip(*headers)  # noqa: B905 -- pairs are pairs
        shape = self[names]
        for place in shape.connection:
            if values[place] not in USUAL_OPTIONS:
                kept = response_headers(headers, via=self._via[1])
                if self._make_public is not None:
                    kept = self._make_public(kept, instance)
                return kept, any(name == REQUEST_ID for name, _ in kept)
        kept = [*zip(shape.names, shape.pick(values)), self._via]  # noqa: B905 -- as many values as names
        if shape.locates and self._make_public is not None:
            kept = self._make_public(kept, instance)
        return kept, shape.has_request_id


def _remember(known: dict[_Names, Any], names: _Names, shape: object) -> None:
    if sum(map(len, names)) <= MAX_JOINED_BYTES and len(names) <= MAX_FIELDS:
        if len(known) >= REMEMBERED:
            del known[next(iter(known))]
        known[names] = shape


def _request_shape(given: _Names) -> RequestShape | None:
    names = read_names(list(given))
    places = names.places
    lengths, hosts = places.get(b"content-length", ()), places.get(b"host", ())
    request_ids, vias = places.get(REQUEST_ID, ()), places.get(b"via", ())
    trace = tuple([place for place, name in enumerate(given) if name in TRACE_NAMES])
    is_plain = (
        names.are_tokens
        and names.is_lower
        and len(hosts) == 1
        and len(lengths) <= 1
        and len(places.get(b"cookie", ())) <= 1  # else they are joined
        and len(request_ids) <= 1
        and len(given) <= MAX_FIELDS
        and names.size <= MAX_JOINED_BYTES
        and _ASKS_FOR_MORE.isdisjoint(places)
    )
    if not is_plain:
        return None
    return RequestShape(
        hosts[0],
        lengths[0] if lengths else -1,
        places.get(b"cookie", ()),
        places.get(b"connection", ()),
        request_ids[0] if request_ids else -1,
        trace,
        vias,
        bool(request_ids or trace or vias),
        _picking(_crossing(names, lambda name: name != REQUEST_ID and crosses_from_client(name))),
        _picking(_crossing(names, lambda name: name != REQUEST_ID and crosses_from_trusted(name))),
        SAID_ONCE.intersection(places),
    )


def _response_shape(given: _Names) -> ResponseShape:
    names = read_names(list(given))
    crossing = _crossing(names, crosses_back)
    return ResponseShape(
        tuple([names.lower[place] for place in crossing]),
        _picking(crossing),
        names.places.get(b"connection", ()),
        REQUEST_ID in names.places,
        not LOCATING.isdisjoint(names.places),
    )


def _crossing(names: FieldNames, crosses: Callable[[bytes], bool]) -> list[int]:
    return [place for place, name in enumerate(names.lower) if crosses(name)]


def _picking(places: list[int]) -> _Pick:
    """Picks what stands in these places; several of them without a loop of ours."""
    if len(places) > 1:
        return itemgetter(*places)
    if places:
        return lambda values: (values[places[0]],)
    return lambda values: ()
