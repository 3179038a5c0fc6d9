"""Hostile calls to a real control plane over HTTP: refused with a reason and little work, and nothing of them stays."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

import pytest

from hydra_asgi import Hydra
from hydra_asgi.core.admission.signature import lease_nonce, sign
from hydra_asgi.wire.announcement import registration_json
from tests.e2e.hostile import KEY, SECRET, Member, Message, Recorder, announced, answers, call, get, node, request
from tests.pace import at_usual_pace
from tests.raw_server import RawServer, raw_server

pytestmark = pytest.mark.e2e

CPU_SECONDS = 2.5
"""Fifty times what an input may cost, for machines that do other things too."""

PATH = f"/h/discovery/{KEY}/registration"
Fields = list[tuple[bytes, bytes]]


@dataclass
class Plane:
    """A gateway with one good service, and a raw service behind an address that may be announced."""

    port: int
    hydra: Hydra
    good: Member
    server: RawServer

    def body(self, **changes: Any) -> dict[str, Any]:
        """The registration of a service called `evil`, with changes; `ours` changes the extension."""
        instance = announced("evil", self.server.address, routes=["/evil/{rest:path}"], fragments=["part"])
        value = json.loads(registration_json(instance, token_urlsafe(18)))
        ours = changes.pop("ours", {})
        value["hydraAsgi"].update(ours)
        value.update(changes)
        return value

    async def register(self, body: bytes, *, fields: Fields | None = None, **options: Any) -> Message:
        """Send a body, signed as a member signs."""
        if fields is None:
            fields = [(b"hydra-signature", signature(body, nonce=token_urlsafe(18)))]
        return await call(self.port, request("POST", PATH, body, fields, **options))

    async def state(self) -> tuple[object, ...]:
        snapshot = await self.hydra.store.snapshot()
        return snapshot.revision, snapshot.instances


def signature(body: bytes, *, nonce: str, secret: str = SECRET, path: str = PATH, age: float = 0.0) -> bytes:
    return sign(secret, method="POST", path=path, body=body, time=time.time() - age, nonce=nonce).encode()


@asynccontextmanager
async def plane(**options: Any) -> AsyncIterator[Plane]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(raw_server(Recorder()))
        hydra = Hydra(gateway=True, key=KEY, secret=SECRET, routes=["/own"], **options)
        port = await stack.enter_async_context(node(hydra=hydra))
        good = Member(port, announced("good", server.address, routes=["/good/{rest:path}"]))
        assert (await good.register()).status == 200
        await answers(port, "/good/x")
        yield Plane(port, hydra, good, server)


# -- bodies -----------------------------------------------------------------------------------------------------------


def changed(**changes: Any) -> Callable[[Plane], bytes]:
    return lambda plane: json.dumps(plane.body(**changes)).encode()


def raw(make: Callable[[bytes], bytes]) -> Callable[[Plane], bytes]:
    """The JSON of a good registration, mistreated as text."""
    return lambda plane: make(json.dumps(plane.body()).encode())


def routes(*templates: str) -> Callable[[Plane], bytes]:
    return changed(ours={"routes": [{"template": template} for template in templates]})


def with_weight(text: bytes) -> Callable[[Plane], bytes]:
    return raw(lambda body: body.replace(b'"weight": 10.0', b'"weight": ' + text))


HOSTS = {
    "metadata": "169.254.169.254",
    "metadata as IPv6": "::ffff:a9fe:a9fe",
    "metadata in brackets": "[::ffff:a9fe:a9fe]",
    "metadata through NAT64": "64:ff9b::a9fe:a9fe",
    "metadata through 6to4": "2002:a9fe:a9fe::1",
    "metadata as number": "2852039166",
    "zero": "0",
    "all zeros": "0.0.0.0",
    "all zeros IPv6": "::",
    "short loopback": "127.1",
    "loopback as number": "2130706433",
    "hexadecimal": "0x7f.1",
    "hexadecimal number": "0x7f000001",
    "octal": "0177.0.0.1",
    "compatible IPv6": "::127.0.0.1",
    "multicast": "224.0.0.1",
    "multicast IPv6": "ff02::1",
    "link-local IPv6": "fe80::1",
    "zone": "fe80::1%lo",
    "broadcast": "255.255.255.255",
    "somebody else": "10.0.0.8",
    "documentation": "192.0.2.1",
    "trailing dot": "127.0.0.1.",
    "fullwidth": "\uff11\uff12\uff17.0.0.1",
    "circled": "\u24dbocalhost",
    "userinfo": "evil@127.0.0.1",
    "path": "127.0.0.1/x",
    "port": "127.0.0.1:80",
    "line break": "127.0.0.1\r\nx: y",
    "NUL": "127.0.0.1\x00.test",
    "blank": "127.0.0.1 ",
    "no such name": "no-such-name.invalid",
    "long": "a" * 10_240,
    "many labels": "a." * 5_000 + "test",
}
SCHEMES = ["redis", "file", "gopher", "unix", "HTTP", "http:", "", "javascript", "ws", "http\x00"]
PORTS: list[Any] = [0, 22, 25, 6379, 26379, 11211, 70_000, -1, 1.5, "80;x", "", True, 2**70, [80], {"$": 1}]
PORTS.append("\uff18\uff10")
BASES = ["/../x", "/a?b", "/a#b", "//evil.test", "/%2e%2e", "/a b", "x", "/a\r\nb", "/" + "a" * 10_000, "/\\evil"]
NAMES = {
    "colon": "a:b",
    "asterisk": "*",
    "braces": "{x}",
    "climbing": "../x",
    "long": "a" * 10_240,
    "empty": "",
    "NUL": "a\x00b",
    "line break": "a\r\nb",
    "right-to-left mark": "a\u200fb",
    "homoglyph": "g\u043e\u043ed",
    "fullwidth": "\uff47ood",
    "digit first": "1a",
    "blank": "a b",
    "slash": "a/b",
    "quote": 'a"b',
    "markup": "<b>",
    "percent": "a%2fb",
    "reserved h": "h",
    "reserved H": "H",
    "reserved static": "Static",
    "reserved self": "self",
    "other case": "GOOD",
    "surrogate": "a\ud800",
}
TEMPLATES = {
    "nested quantifiers": "/{a:(x+x+)+y}",
    "regular expression": "/[a-z]+{x:.*}",
    "text and parameter": "/x{a}",
    "two parameters": "/{a}{b}",
    "a thousand parameters": "".join(f"/{{p{n}}}" for n in range(1_000)),
    "long": "/" + "a" * 102_400,
    "deep": "/a" * 500,
    "unclosed": "/{a",
    "nested": "/{a{b}}",
    "rest first": "/{a:path}/x",
    "twice": "/{a}/{a}",
    "dots": "/a/../b",
    "query": "/a?b",
    "fragment": "/a#b",
    "backslash": "/a\\b",
    "NUL": "/a\x00",
    "line break": "/a\r\nb",
    "no slash": "a",
    "two slashes": "//evil.test",
    "the control plane": "/h",
    "inside the control plane": "/h/discovery/{key}",
    "all of the control plane": "/h/{rest:path}",
    "surrogate": "/\ud800",
    "empty": "",
}
WEIGHTS = [b"-1", b"1e308", b"1e999", b"NaN", b"Infinity", b"-Infinity", b'"8"', b"9223372036854775808", b"true", b"[]"]

DEEP = b"[" * 200_000
TEXTS: dict[str, Callable[[Plane], bytes]] = {
    "200,000 lists deep": lambda plane: DEEP,
    "200,000 lists deep and closed": lambda plane: DEEP + b"]" * 200_000,
    "200,000 objects deep": lambda plane: b'{"a":' * 200_000,
    "a list deep in a field": raw(lambda body: body.replace(b'"sockets": []', b'"sockets": ' + b"[" * 90_000)),
    "a number of 200,000 digits": raw(lambda body: body.replace(b'"version": 0', b'"version": ' + b"7" * 200_000)),
    "a fraction of 200,000 digits": raw(lambda body: body.replace(b'"version": 0', b'"version": 0.' + b"7" * 200_000)),
    "a huge exponent": raw(lambda body: body.replace(b'"version": 0', b'"version": 1e999999999')),
    "a name twice": raw(lambda body: body.replace(b'"version": 0', b'"version": 0, "name": "good"')),
    "a lone surrogate": raw(lambda body: body.replace(b'"evil"', b'"e\\ud800"')),
    "UTF-16": raw(lambda body: body.decode().encode("utf-16")),
    "broken UTF-8": raw(lambda body: body.replace(b'"evil"', b'"\xff\xfe"')),
    "nothing": lambda plane: b"",
    "a list": lambda plane: b"[]",
    "null": lambda plane: b"null",
    "a word": lambda plane: b"evil",
    "an empty object": lambda plane: b"{}",
    "half of it": raw(lambda body: body[: len(body) // 2]),
    "two of it": raw(lambda body: body + body),
    "a NUL behind it": raw(lambda body: body + b"\x00"),
    "a mebibyte of empty lists": raw(
        lambda body: body.replace(b'"sockets": []', b'"x": [' + b"[]," * 340_000 + b"0]")[:-1]
    ),
    "a mebibyte of keys": lambda plane: b"{" + b",".join(b'"%d":0' % n for n in range(100_000)) + b"}",
    "two mebibytes": raw(lambda body: body + b" " * 2_097_152),
}
OTHERS: dict[str, Callable[[Plane], bytes]] = {
    "10,000 routes": routes(*(f"/r{n}" for n in range(10_000))),
    "a route's method": changed(ours={"routes": [{"template": "/x", "methods": ["GET\r\nx"]}]}),
    "a route's kind": changed(ours={"routes": [{"template": "/x", "kind": "ftp"}]}),
    "a route's host": changed(ours={"routes": [{"template": "/x", "host": "a b"}]}),
    "a fragment's name": changed(ours={"fragments": [{"ref": "../x y"}]}),
    "a fragment twice": changed(ours={"fragments": [{"ref": "x"}, {"ref": "x"}]}),
    "a fragment's imports": changed(ours={"fragments": [{"ref": "x", "imports": ["a b c", "*"]}]}),
    "1,000 fragments": changed(ours={"fragments": [{"ref": f"x{n}"} for n in range(1_000)]}),
    "a menu entry of another site": changed(menuItems={"main": [{"endpoint": "//evil.test/"}]}),
    "a menu entry with script": changed(menuItems={"main": [{"endpoint": "javascript:alert(1)"}]}),
    "a menu label with line break": changed(menuItems={"main": [{"endpoint": "/x", "label": "a\r\nb"}]}),
    "5,000 menu entries": changed(menuItems={"main": [{"endpoint": f"/x{n}"} for n in range(5_000)]}),
    "30,000 resources": changed(staticResources=[f"x{n}" for n in range(30_000)]),
    "a lease that is none": changed(ours={"lease": "x"}),
    "a lease with a line break": changed(ours={"lease": "x" * 16 + "\r\n"}),
    "protocol 0": changed(ours={"protocol": 0}),
    "a version as text": changed(version="1"),
    "a version beyond 64 bits": changed(version=2**64),
    "an extension that is a list": changed(hydraAsgi=[]),
    "endpoints that are an object": changed(endpoints={"a": "b"}),
}


def bodies() -> dict[str, Callable[[Plane], bytes]]:
    """Every hostile body by its name."""
    table: dict[str, Callable[[Plane], bytes]] = {}
    table |= {f"host: {name}": changed(host=host) for name, host in HOSTS.items()}
    table |= {f"scheme: {scheme!r}": changed(webProtocol=scheme) for scheme in SCHEMES}
    table |= {f"port: {port!r:.20}": changed(port=port) for port in PORTS}
    table |= {f"base: {base!r:.20}": changed(ours={"base": base}) for base in BASES}
    table |= {f"name: {name}": changed(name=text) for name, text in NAMES.items()}
    table |= {f"route: {name}": routes(template) for name, template in TEMPLATES.items()}
    table |= {f"weight: {weight.decode()}": with_weight(weight) for weight in WEIGHTS}
    table |= {f"text: {name}": make for name, make in TEXTS.items()}
    table |= {f"other: {name}": make for name, make in OTHERS.items()}
    table["host: the gateway itself"] = lambda plane: json.dumps(plane.body(port=plane.port)).encode()
    table["host: nobody is there"] = lambda plane: json.dumps(plane.body(port=1_024)).encode()
    return table


BODIES = bodies()


async def check_body(plane: Plane, make: Callable[[Plane], bytes]) -> None:
    body = make(plane)
    before = await plane.state()
    cpu = time.process_time()
    answer = await plane.register(body)
    spent = time.process_time() - cpu
    assert spent < CPU_SECONDS
    assert 400 <= answer.status < 500, answer
    said = json.loads(answer.body)
    assert said["status"] == answer.status
    assert said["reason"]
    assert len(said["reason"]) < 700
    assert await plane.state() == before
    assert (await get(plane.port, "/good/x")).body == b"saw /good/x"


async def run_all() -> dict[str, BaseException | None]:
    """One body after another against one gateway, so that what each costs can be told."""
    found: dict[str, BaseException | None] = {}
    async with plane() as gateway, renewing(gateway):
        for name, make in BODIES.items():
            (found[name],) = await asyncio.gather(check_body(gateway, make), return_exceptions=True)
        # The very body that all of them are made from is fine.
        answer = await gateway.register(json.dumps(gateway.body()).encode())
        assert answer.status == 200, answer
    return found


@asynccontextmanager
async def renewing(gateway: Plane) -> AsyncIterator[None]:
    """Let the good service beat meanwhile."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(2)
            assert (await gateway.good.beat()).status == 200

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, BaseException | None]:
    return asyncio.run(run_all())


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body(outcomes: dict[str, BaseException | None], name: str) -> None:
    """Rows 33 to 40: refused with a 4xx that says why, at little cost; nothing is stored and others are served."""
    failure = outcomes[name]
    if failure is not None:
        raise failure


# -- callers ----------------------------------------------------------------------------------------------------------


async def test_signatures() -> None:
    """Row 32: a signature that is missing, wrong, old, early, used before or made for another call stores nothing."""
    async with plane() as gateway:
        body = json.dumps(gateway.body()).encode()
        before = await gateway.state()
        good = signature(body, nonce="good")
        tries: dict[str, Fields] = {
            "missing": [],
            "foreign secret": [(b"hydra-signature", signature(body, nonce="a", secret="another secret, long enough"))],
            "old": [(b"hydra-signature", signature(body, nonce="b", age=90))],
            "early": [(b"hydra-signature", signature(body, nonce="c", age=-90))],
            "another body": [(b"hydra-signature", signature(body + b" ", nonce="d"))],
            "another path": [
                (b"hydra-signature", signature(body, nonce="e", path=PATH.replace("registration", "alive")))
            ],
            "another nonce": [(b"hydra-signature", good.replace(b"n=good", b"n=evil"))],
            "no signature": [(b"hydra-signature", b"v1;t=1;n=x;s=" + b"0" * 64)],
            "garbage": [(b"hydra-signature", b"\xff" * 200)],
            "long": [(b"hydra-signature", b"v1;t=" + b"9" * 30_000)],
            "another version": [(b"hydra-signature", good.replace(b"v1", b"v2"))],
            "upper case": [(b"hydra-signature", good.upper())],
            "two": [(b"hydra-signature", good), (b"hydra-signature", good)],
            "another lease": [(b"hydra-signature", good), (b"hydra-instance", b"x" * 20)],
            "a lease's nonce without its lease": [(b"hydra-signature", signature(body, nonce="x" * 20 + ".1"))],
        }
        for name, fields in tries.items():
            answer = await gateway.register(body, fields=fields)
            assert answer.status in (400, 401), (name, answer)
            assert json.loads(answer.body)["reason"], name
            assert int(answer.header(b"hydra-time") or 0) > 0, name
            assert SECRET.encode() not in answer.body
        assert await gateway.state() == before
        assert (await gateway.register(body, fields=[(b"hydra-signature", good)])).status == 200
        replayed = await gateway.register(body, fields=[(b"hydra-signature", good)])
        assert replayed.status == 401


async def test_replayed_beats() -> None:
    """Row 32: a beat that was heard before is no beat, nor one that is signed for another lease."""
    async with plane() as gateway:
        path = f"/h/discovery/{KEY}/alive"
        lease = gateway.good.lease

        def beat(counter: int, named: str = lease) -> bytes:
            signed = signature(b"good", nonce=lease_nonce(lease, counter), path=path)
            fields = [(b"hydra-instance", named.encode()), (b"hydra-signature", signed)]
            return request("POST", path, b"good", fields, content_type=b"text/plain")

        said = beat(100)
        assert (await call(gateway.port, said)).status == 200
        assert (await call(gateway.port, said)).status == 401
        assert (await call(gateway.port, beat(99))).status == 401
        assert (await call(gateway.port, beat(101, named="x" * 20))).status == 401


async def test_the_wrong_key_is_nowhere() -> None:
    """Row 44: with a wrong key every path of the control plane is a 404 without a word, whatever else is right."""
    async with plane() as gateway:
        before = await gateway.state()
        for key in ("wrong", "", KEY.upper(), KEY + "x", KEY[:-1], "%00", "..", "x" * 5_000, f"{KEY}/x"):
            for method in ("POST", "DELETE", "GET"):
                answer = await call(gateway.port, request(method, f"/h/discovery/{key}/registration", b"{}"))
                assert answer.status in (404, 400, 414), (key, answer)
                assert KEY.encode() not in answer.body
        assert await gateway.state() == before


async def test_browsers_and_proxies_are_no_members() -> None:
    """Row 44: a page's script may not call, nor a stranger through a proxy, nor may anybody without JSON."""
    async with plane(accept_unsigned=["127.0.0.0/8"]) as gateway:
        body = json.dumps(gateway.body()).encode()
        before = await gateway.state()
        for fields in ([(b"origin", b"http://evil.test")], [(b"origin", b"null")], [(b"x-forwarded-for", b"127.0.0.1")],
                       [(b"via", b"1.1 x")], [(b"forwarded", b"for=127.0.0.1")]):  # fmt: skip
            answer = await gateway.register(body, fields=fields)
            assert answer.status == 403, (fields, answer)
        for kind in (b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data", b"", b"text/json"):
            assert (await gateway.register(body, content_type=kind)).status == 415
        packed = gzip.compress(b" " * 10_485_760 + body)
        answer = await gateway.register(packed, fields=[(b"content-encoding", b"gzip")])
        assert answer.status == 415
        assert await gateway.state() == before


async def test_another_ones_lease_and_instance() -> None:
    """Rows 32 and 36: nobody takes, beats, drains or ends what belongs to another service or was signed by another."""
    async with plane(accept_unsigned=["127.0.0.0/8"]) as gateway:
        before = await gateway.state()
        thief = Member(gateway.port, announced("thief", gateway.server.address))
        thief.lease = gateway.good.lease
        assert (await thief.register()).status in (401, 403)
        assert (await thief.beat()).status in (401, 403, 410)
        assert (await thief.leave()).status in (401, 403, 410)
        # The same instance, unsigned.
        body = registration_json(gateway.good.instance, token_urlsafe(18))
        assert (await gateway.register(body, fields=[])).status == 403
        named = [(b"hydra-instance", gateway.good.lease.encode())]
        for method, name in (("POST", "alive"), ("DELETE", "registration")):
            path = f"/h/discovery/{KEY}/{name}"
            answer = await call(gateway.port, request(method, path, b"good", named, content_type=b"text/plain"))
            assert answer.status == 403, answer
        token = (await gateway.hydra.store.snapshot()).instances[0].token
        wish = json.dumps({"service": "good", "token": token, "draining": True}).encode()
        answer = await call(gateway.port, request("POST", f"/h/discovery/{KEY}/drain", wish, named))
        assert 400 <= answer.status < 500, answer
        assert await gateway.state() == before


async def test_routes_of_others() -> None:
    """Row 37: whoever comes later gets no route that a service has, and a catch-all takes what is left."""
    async with plane() as gateway, raw_server(Recorder()) as server:
        greedy = Member(gateway.port, announced("greedy", server.address, routes=["/good/{x:path}", "/", "/{x:path}"]))
        assert (await greedy.register()).status == 200
        await answers(gateway.port, "/left/over")
        for _ in range(20):
            assert (await get(gateway.port, "/good/x")).body == b"saw /good/x"
        assert not [head for head in server.heads if b"/good" in head]
        assert (await get(gateway.port, "/own")).body == b"local /own"
        assert (await get(gateway.port, "/h/live")).body == b'{"status":"ok"}'


async def test_beats_without_measure() -> None:
    """Row 41: too many beats are 429, beats of nobody 410, and neither moves the directory."""
    async with plane() as gateway:
        before = await gateway.state()
        statuses = [(await gateway.good.beat()).status for _ in range(40)]
        assert statuses[:15] == [200] * 15
        assert 429 in statuses
        stranger = Member(gateway.port, announced("stranger", gateway.server.address))
        assert {(await stranger.beat()).status for _ in range(5)} == {410}
        assert await gateway.state() == before
        assert (await get(gateway.port, "/good/x")).status == 200


async def test_strange_beats_and_farewells() -> None:
    """Bodies of beats, farewells and drains that are no name or no JSON are refused with a reason."""
    async with plane() as gateway:
        before = await gateway.state()
        for name, method in (("alive", "POST"), ("registration", "DELETE"), ("drain", "POST")):
            for body in (b"", b"\xff\xfe", b"a\r\nb", b"x" * 300, b"good\x00", b"{}", b"[[[[", b'{"service":"good"}'):
                answer = await gateway.good.call(method, name, body)
                assert 400 <= answer.status < 500, (name, body, answer)
                assert json.loads(answer.body)["reason"]
        for method in ("GET", "PUT", "PATCH", "OPTIONS"):
            assert (await call(gateway.port, request(method, PATH, b""))).status == 405
        assert await gateway.state() == before


async def test_hostile_questions() -> None:
    """Fragment questions that are too many, too deep, unsigned or no questions at all are refused with a reason."""
    path = f"/h/discovery/{KEY}/requestFragment"
    one = {"id": "1", "service": "good", "ref": "part"}
    deep: Any = 0
    for _ in range(500):
        deep = {"a": deep}
    bad: list[Any] = [
        [],
        {},
        {"requests": []},
        {"requests": {"good": [one] * 300}},
        {"requests": {"good": [one, one]}},
        {"requests": {"good": [{**one, "id": "a\r\nb"}]}},
        {"requests": {"good": [{**one, "id": "x" * 10_000}]}},
        {"requests": {"good": [{**one, "imports": ["a b c d"]}]}},
        {"attributes": deep, "requests": {"good": [one]}},
        {"requests": {"good": [one]}, "hydraAsgi": {"headers": [["x\r\ny", "z"]]}},
        {"requests": {"good": [one]}, "hydraAsgi": {"headers": [["x", "z\r\ny: 1"]]}},
        {"requests": {"good": [one]}, "hydraAsgi": {"depth": 1_000_000}},
        {"requests": {"good": [one]}, "hydraAsgi": {"key": "a\r\nb"}},
        {"requests": {"good": [one]}, "hydraAsgi": {"budget": -1}},
    ]
    async with plane() as gateway:
        for number, question in enumerate(bad):
            body = json.dumps(question).encode()
            fields = [(b"hydra-signature", signature(body, nonce=f"n{number}", path=path))]
            cpu = time.process_time()
            answer = await call(gateway.port, request("POST", path, body, fields))
            taken = time.process_time() - cpu
            assert taken < at_usual_pace(CPU_SECONDS)
            assert 400 <= answer.status < 500, (question, answer)
            assert json.loads(answer.body)["reason"]
        body = json.dumps({"requests": {"good": [one]}}).encode()
        assert (await call(gateway.port, request("POST", path, body))).status == 401


# -- bodies without end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", [b"content-length: 52428800", b"transfer-encoding: chunked"])
async def test_fifty_mebibytes(framing: bytes) -> None:
    """Row 40: a body of 50 MiB is cut off while it comes, after little more than the mebibyte that is allowed."""
    async with plane() as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        head = (b"POST " + PATH.encode(), b"host: gateway", b"content-type: application/json", framing)
        writer.write(b"\r\n".join(head).replace(b"registration", b"registration HTTP/1.1", 1) + b"\r\n\r\n")
        piece = b" " * 65_536
        if b"chunked" in framing:
            piece = b"10000\r\n" + piece + b"\r\n"
        answered = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        sent = 0
        while not answered.done() and sent < 52_428_800:
            writer.write(piece)
            sent += len(piece)
            await asyncio.sleep(0)
            await asyncio.wait({answered, asyncio.ensure_future(_drained(writer))}, return_when="FIRST_COMPLETED")
        assert sent < 12_582_912
        head_received = await answered
        assert head_received.startswith(b"HTTP/1.1 413 ")
        writer.transport.abort()


async def _drained(writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await writer.drain()


async def test_a_body_drop_by_drop() -> None:
    """A body that comes drop by drop ends with 408 after five seconds, and holds up nobody else."""
    async with plane() as gateway, renewing(gateway):
        began = time.monotonic()

        async def drip() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(
                request("POST", PATH, b"")[:-2].replace(b"content-length: 0", b"content-length: 1000") + b"\r\n"
            )
            answered = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
            while not answered.done():
                writer.write(b" ")
                await asyncio.sleep(0.1)
            writer.transport.abort()
            return answered.result()

        dripping = asyncio.gather(*(drip() for _ in range(20)))
        while not dripping.done():
            one = time.monotonic()
            assert (await get(gateway.port, "/good/x")).status == 200
            assert time.monotonic() - one < 3.0
            await asyncio.sleep(0.2)
        assert {head.split()[1] for head in dripping.result()} == {b"408"}
        assert 4.5 < time.monotonic() - began < 15.0
