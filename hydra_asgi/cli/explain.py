"""`hydra-asgi explain`: who answers a request, and why."""

import re
from typing import Annotated

import typer

from hydra_asgi.cli.explanation import Explanation, Turn, explain_request
from hydra_asgi.cli.output import console, fail, print_json, print_table
from hydra_asgi.cli.rival_routes import Request
from hydra_asgi.cli.settings_words import percent
from hydra_asgi.cli.shared_store import WRONG, AsJson, StoreUrl, look
from hydra_asgi.core.instance import RouteKind
from hydra_asgi.core.routing.own_path import quoted
from hydra_asgi.core.routing.raw_path import PathError, split_raw_path
from hydra_asgi.core.routing.weight_key import HEADER, read_key
from hydra_asgi.errors import ConfigurationError

__all__ = ["explain"]

Headers = list[tuple[bytes, bytes]]

_METHOD = re.compile(r"[A-Za-z]{1,32}")
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_URL = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


def explain(
    method: Annotated[str, typer.Argument(help="GET, POST, ...; WEBSOCKET for a WebSocket.")],
    path: Annotated[str, typer.Argument(help="The path, or a whole URL.")],
    host: Annotated[str | None, typer.Option(help="The host that is asked, where routes have hosts.")] = None,
    key: Annotated[str | None, typer.Option(help="The user's key, as in the cookie hydra-key.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="A header of the request. May be repeated.")
    ] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say which route, service, version and instance answers a request, and why.

    Decides as every node of the site does, with what the store says now. Ends with 1 where nobody answers. What a node
    has found out for itself is not known here: instances that fail are passed over for a while.
    """
    try:
        headers = [_read_header(text) for text in header or ()]
        users = read_key(_with_key(headers, key))
        request, asked = _read_request(method, path, host, headers)
    except (ConfigurationError, PathError) as error:
        fail(WRONG, str(error))
    explained = explain_request(look(store), request, key=users, headers=headers)
    if as_json:
        print_json(_as_json(explained, asked))
    else:
        _print(explained, asked)
    raise typer.Exit(0 if explained.outcome == "answered" else 1)


def _read_header(text: str) -> tuple[bytes, bytes]:
    found = _HEADER.fullmatch(text)
    if found is None:
        raise ConfigurationError(f"--header is {text[:120]!r}: expected 'NAME: VALUE', such as 'X-Tester: yes'")
    return found[1].lower().encode("ascii"), found[2].encode("utf-8", "surrogateescape")


def _with_key(headers: Headers, key: str | None) -> Headers:
    if key is None:
        return headers
    given = (HEADER, key.encode("utf-8", "surrogateescape"))
    if not read_key([given]):
        raise ConfigurationError(f"--key is {key[:120]!r}: a key is 16 to 64 letters, digits, - and _")
    return [given, *headers]


def _read_request(method: str, path: str, host: str | None, headers: Headers) -> tuple[Request, str]:
    """The request, and how it is shown."""
    if _METHOD.fullmatch(method) is None:
        raise ConfigurationError(f"{method[:80]!r} is no method: expected GET, POST, ... or WEBSOCKET")
    url = _URL.fullmatch(path)
    if url is not None:
        if not url[1] or "@" in url[1]:
            raise ConfigurationError("the URL names no host, or a user beside it: expected http://host/path")
        host, path = host or url[1], url[2] if url[2].startswith("/") else f"/{url[2]}"
    elif not path.startswith("/"):
        raise ConfigurationError(f"{path[:80]!r} is no path: expected one that starts with '/', or a URL")
    host = host or next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    raw = re.split(r"[?#]", path, maxsplit=1)[0]
    # As a client would send it: what is encoded stays so.
    segments = split_raw_path(b"%".join(map(quoted, raw.split("%"))))
    if segments[0] == "h":
        raise ConfigurationError("/h/ belongs to the control plane: whichever node is asked answers it itself")
    is_socket = method.upper() == "WEBSOCKET"
    kind = RouteKind.WEBSOCKET if is_socket else RouteKind.HTTP
    request = Request(segments, "GET" if is_socket else method.upper(), kind, host)
    return request, f"{method.upper()} {host}{raw}"


def _print(explained: Explanation, asked: str) -> None:
    out = console()
    for line in (f"{asked} -> {explained.summary}", "", *(f"- {reason}" for reason in explained.reasons)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if explained.turns:
        out.print()
        rows = map(_cells, explained.turns)
        quiet = [index for index, turn in enumerate(explained.turns) if turn.why not in ("answers", "next", "by key")]
        print_table(("turn", "token", "version", "address", "weight", "users", "why"), rows, dim=quiet)


def _cells(turn: Turn) -> tuple[str, ...]:
    one = turn.instance
    where = (str(turn.place or "-"), str(one.token), f"v{one.version}", str(one.address), f"{one.weight:g}")
    return (*where, percent(turn.users), turn.why)


def _as_json(explained: Explanation, asked: str) -> dict[str, object]:
    one = explained.instance
    return {
        "request": asked,
        "outcome": explained.outcome,
        "summary": explained.summary,
        "service": explained.service or None,
        "template": explained.template or None,
        "version": None if one is None else one.version,
        "instance": None if one is None else {"token": one.token, "address": str(one.address)},
        "reasons": list(explained.reasons),
        "instances": [
            {
                "turn": turn.place or None,
                "token": turn.instance.token,
                "version": turn.instance.version,
                "address": str(turn.instance.address),
                "weight": turn.instance.weight,
                "users": turn.users,
                "why": turn.why,
            }
            for turn in explained.turns
        ],
    }
