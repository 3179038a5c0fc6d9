"""Which header fields cross a node, and which are ours to say.

Everything works on lists of pairs: order counts, names repeat, three `Set-Cookie` fields stay three. Fields are removed
first and ours are added afterwards, so that nothing a client writes into `Connection` can take away what we say. How a
message is framed is never copied: whoever sends it derives that from the body it really has.

Rules for editors: a name in one of these sets is lower-case; a field that a service could mistake for the word of its
gateway belongs into `SPOOFABLE`.
"""

from collections.abc import Callable
from functools import lru_cache

from hydra_asgi.core.headers.field_names import REMEMBERED, FieldNames, field_names
from hydra_asgi.core.headers.forwarded import forwarding_fields
from hydra_asgi.core.headers.header_fields import Fields, connection_options, field_values, lowered

__all__ = [
    "HOP_BY_HOP",
    "MAX_HOPS",
    "SPOOFABLE",
    "USUAL_OPTIONS",
    "crosses_back",
    "crosses_from_client",
    "crosses_from_trusted",
    "end_to_end",
    "hops_are_spent",
    "loops",
    "request_headers",
    "response_headers",
]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Meant for the next hop only (RFC 9110 section 7.6.1, RFC 9113 section 8.2.2)."""

SPOOFABLE = frozenset(
    {
        b"client-ip",
        b"forwarded",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-host",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-host",
        b"x-original-uri",
        b"x-original-url",
        b"x-real-ip",
        b"x-rewrite-url",
    }
)
"""Services believe these of the gateway before them, so only a trusted peer may say them; `x-forwarded-*` likewise."""

MAX_HOPS = 16
"""More intermediaries in front of us than any sane site has; ends loops whose members do not sign with a name."""

_NOT_A_REQUEST_FIELD = HOP_BY_HOP | {b"content-length", b"expect", b"host"}
# Content-Length is derived, Expect was answered by our server, and the Host is given by the caller.

_SAID_BY_THE_SERVER = HOP_BY_HOP | {b"date", b"server"}
# The server in front of the client adds its own, and neither may stand twice (RFC 9110 sections 6.6.1 and 10.2.4).

_OURS = (b"hydra-", b"x-hydra-")

USUAL_OPTIONS = frozenset({b"keep-alive", b"Keep-Alive", b"close", b"Close"})
"""Whole `Connection` fields that name no field besides one that is hop-by-hop anyway: nearly all of them."""


def end_to_end(headers: Fields, drop: frozenset[bytes] = HOP_BY_HOP) -> Fields:
    """The fields that may travel on: without hop-by-hop ones, what `Connection` names, and names of our own.

    `hydra-*` and `x-hydra-*` are how nodes talk to each other, so they never cross from outside.

    Args:
        headers: any case of names.
        drop: lower-case names to remove besides those that `Connection` names.

    Returns:
        A new list with lower-case names, in the order of `headers`.
    """
    fields = lowered(headers)
    removed = drop | connection_options(fields)
    return [pair for pair in fields if pair[0] not in removed and not pair[0].startswith(_OURS)]


def request_headers(
    headers: Fields,
    *,
    client: str,
    scheme: str,
    host: bytes,
    via: bytes,
    trusted: bool,
    add: Fields | tuple[tuple[bytes, bytes], ...] = (),
    names: FieldNames | None = None,
) -> Fields:
    """What an instance is sent for the request of a client.

    Args:
        headers: the client's fields.
        client: the address of the peer that sent the request to us.
        scheme: `http` or `https`, as the client used it.
        host: the public host the client asked for; kept, because absolute links are made from it.
        via: our own member of the `Via` list, for example `1.1 node-7f`.
        trusted: the peer is a proxy of ours, so what it says about the client is kept and continued.
        add: fields the caller sends on top, for example `hydra-path`; nothing can remove them.
        names: those of `headers`, where the caller knows them already.

    Returns:
        A new list without `content-length` and `transfer-encoding`; the sender frames the body it has.
    """
    names = names or field_names(headers)
    kept = _kept(headers, names, crosses_from_trusted if trusted else crosses_from_client)
    if b"max-forwards" in names.places:
        kept = [_one_hop_less(pair) for pair in kept]
    if len(names.places.get(b"cookie", ())) > 1:
        kept = _one_cookie_field(kept)
    return [
        (b"host", host),
        *kept,
        *forwarding_fields(kept, client=client, scheme=scheme, host=host),
        (b"via", via),
        *add,
    ]


def response_headers(headers: Fields, *, via: bytes = b"") -> Fields:
    """What a client is sent of an instance's response; `content-length` stays, since it says what will follow.

    Args:
        headers: the instance's fields.
        via: our own member of the `Via` list; empty adds none.
    """
    kept = _kept(headers, field_names(headers), crosses_back)
    if via:
        kept.append((b"via", via))
    return kept


def _kept(headers: Fields, names: FieldNames, crosses: Callable[[bytes], bool]) -> Fields:
    """The fields whose names may cross, without those that `Connection` names; a new list with lower-case names."""
    places = _places(names, crosses)
    if names.is_lower:
        kept = [headers[place] for place in places]
    else:
        lower = names.lower
        kept = [(lower[place], headers[place][1]) for place in places]
    if b"connection" not in names.places:
        return kept
    options = [value for value in names.values(headers, b"connection") if value not in USUAL_OPTIONS]
    if not options:
        return kept
    removed = connection_options([(b"connection", value) for value in options])
    return [pair for pair in kept if pair[0] not in removed]


@lru_cache(4 * REMEMBERED)
def _places(names: FieldNames, crosses: Callable[[bytes], bool]) -> tuple[int, ...]:
    return tuple(place for place, name in enumerate(names.lower) if crosses(name))


def crosses_from_trusted(name: bytes) -> bool:
    """Whether a request field of this lower-case name may travel on when a proxy of ours sends it."""
    # A name with an underscore reads like its hyphenated twin to many frameworks: `X_Forwarded_For`.
    return name not in _NOT_A_REQUEST_FIELD and not name.startswith(_OURS) and b"_" not in name


def crosses_from_client(name: bytes) -> bool:
    """The same when anybody else sends it."""
    return crosses_from_trusted(name) and name not in SPOOFABLE and not name.startswith(b"x-forwarded-")


def crosses_back(name: bytes) -> bool:
    """Whether a response field of this lower-case name may travel on."""
    return name not in _SAID_BY_THE_SERVER and not name.startswith(_OURS)


def loops(headers: Fields, pseudonym: str) -> bool:
    """Whether the request passed the node with this pseudonym before, or passed more nodes than it can have.

    `Via` lists every intermediary by name (RFC 9110 section 7.6.3); one repetition is a loop. Names are lower-case.
    """
    ours = pseudonym.lower().encode("latin-1")
    members = 0
    for value in field_values(headers, b"via"):
        for member in value.lower().split(b","):  # a comma inside a comment makes a member that is nobody's name
            members += 1
            if member.split(None, 2)[1:2] == [ours]:  # protocol, received-by, comment
                return True
    return members >= MAX_HOPS


def hops_are_spent(headers: Fields) -> bool:
    """Whether `Max-Forwards: 0` forbids to send the request on (RFC 9110 section 7.6.2); lower-case names."""
    return any(value.strip().isdigit() and int(value[:20]) == 0 for value in field_values(headers, b"max-forwards"))


def _one_cookie_field(fields: Fields) -> Fields:
    """The same with all cookies in the first of their fields.

    HTTP/2 clients split them up, and servers hand them on so. In HTTP/1.1 there is one field, which is all that many
    frameworks read (RFC 9113 section 8.2.3).
    """
    cookies = b"; ".join(field_values(fields, b"cookie"))
    joined = [(name, cookies) if name == b"cookie" else (name, value) for name, value in fields]
    first = next((place for place, (name, _) in enumerate(fields) if name == b"cookie"), len(fields))
    return [*joined[: first + 1], *(pair for pair in joined[first + 1 :] if pair[0] != b"cookie")]


def _one_hop_less(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = pair
    if name == b"max-forwards" and value.isdigit() and len(value) < 10:
        return (name, b"%d" % max(0, int(value) - 1))
    return pair
