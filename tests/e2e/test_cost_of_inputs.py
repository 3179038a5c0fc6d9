"""What one odd request or answer costs a gateway at most: 50 ms of processor time and 16 MiB, under each server.

The gateway is a process of its own that tells what it has used; what a request costs that asks for this is taken off.
"""

import asyncio
import statistics
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.attacks.attack import plain, post
from tests.e2e.attacks.talker import CUT_ANSWERS, EXTRA_ANSWERS, NO_ANSWERS, Talker
from tests.e2e.endurance import Gateway, Gauge, tell
from tests.e2e.hostile import Recorder, answers, say
from tests.gateway.servers import SERVERS
from tests.pace import at_usual_pace
from tests.raw_server import raw_server

pytestmark = pytest.mark.e2e

MIB = 2**20
MOST_SECONDS, MOST_MEMORY = 0.05, 16 * MIB
TRIES = 4


def asks(*fields: bytes, target: bytes = b"%P", **options: bytes) -> bytes:
    return plain(*fields, b"connection: close", target=target, **options)


def chunked(body: bytes) -> bytes:
    return post(b"connection: close", b"transfer-encoding: chunked", body=body)


REQUESTS = {
    "a field of 60 KB": asks(b"x-a: " + b"a" * 60_000),
    "a thousand fields": asks(*(b"x-a%d: 1" % number for number in range(1_000))),
    "a thousand fields of one name": asks(*[b"x-a: 1"] * 1_000),
    "a cookie of semicolons": asks(b"cookie: " + b";" * 60_000),
    "thousands of cookies": asks(b"cookie: " + b"; ".join(b"a%d=1" % number for number in range(6_000))),
    "thousands of weight keys": asks(b"cookie: " + b"hydra-key=;" * 5_000),
    "a connection field of thousands": asks(b"connection: " + b",".join(b"x%d" % number for number in range(8_000))),
    "commas in a connection field": asks(b"connection: " + b"," * 60_000),
    "forwarded of thousands": asks(b"forwarded: " + b"for=1.2.3.4;by=x," * 3_500),
    "x-forwarded-for of thousands": asks(b"x-forwarded-for: " + b"1.2.3.4, " * 6_000),
    "hops of thousands": asks(b"via: " + b"1.1 a, " * 8_000),
    "a host of 60 KB": asks(host=b"a" * 60_000),
    "a host of colons": asks(host=b":" * 60_000),
    "a trace of 60 KB": asks(b"traceparent: " + b"0" * 60_000, b"tracestate: " + b"a=1," * 10_000),
    "a length of 60 KB": post(b"content-length: " + b"1" * 60_000),
    "lengths of thousands": post(b"content-length: " + b"5," * 30_000),
    "codings of thousands": post(b"transfer-encoding: " + b"chunked," * 7_000),
    "a method of 60 KB": asks(method=b"G" * 60_000),
    "a path of 60 KB": asks(target=b"/echo/" + b"a" * 60_000),
    "a path of slashes": asks(target=b"/echo/" + b"/" * 60_000),
    "a path of segments": asks(target=b"/echo" + b"/a" * 30_000),
    "a path of dots": asks(target=b"/echo" + b"/.." * 20_000),
    "a path of escapes": asks(target=b"/echo/" + b"%61" * 20_000),
    "a path of broken escapes": asks(target=b"/echo/" + b"%" * 60_000),
    "a path of another service": asks(target=b"/1234567890" * 5_000),
    "a query of parameters": asks(target=b"%P?" + b"a=1&" * 15_000),
    "a query of escapes": asks(target=b"%P?" + b"%zz" * 20_000),
    # Granian hands on every piece by itself, which costs it 90 us; what a body costs grows with its pieces, as it must.
    "three hundred chunks": chunked(b"1\r\na\r\n" * 300 + b"0\r\n\r\n"),
    "a chunk extension of 60 KB": chunked(b"1;" + b"a" * 60_000 + b"\r\na\r\n0\r\n\r\n"),
    "trailers of 60 KB": chunked(b"0\r\n" + b"x-a: 1\r\n" * 7_500 + b"\r\n"),
    "a thousand protocols": asks(
        b"upgrade: websocket",
        b"connection: upgrade",
        b"sec-websocket-version: 13",
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        b"sec-websocket-protocol: " + b",".join(b"p%d" % number for number in range(8_000)),
    ),
}
"""What a client says; `%P` is a target that is answered well."""

ANSWERS = [*NO_ANSWERS, *CUT_ANSWERS, *EXTRA_ANSWERS, b"informed", b"trailers"]
"""What a service says."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an input costs the gateway: seconds of processor time, bytes of memory."""

    seconds: float
    memory: int


async def gauge(gateway: Gateway) -> Gauge:
    return await asyncio.to_thread(lambda: gateway.gauge)


async def cost(gateway: Gateway, payload: bytes = b"") -> Cost:
    """What it costs to be told this, and to be asked for the gauge."""
    forget_peak((await gauge(gateway)).pid)
    before = await gauge(gateway)
    if payload:
        await say(gateway.serves, payload, seconds=1.0)
    after = await gauge(gateway)
    return Cost(after.cpu - before.cpu, after.peak - before.memory)


def forget_peak(pid: int) -> None:
    """From now on the most memory of a process is what it has now (proc(5), `clear_refs`)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@pytest.mark.parametrize("server", SERVERS)
async def test_no_input_costs_much(tmp_path: Path, server: str) -> None:
    """No single request and no single answer costs more than 50 ms of processor time or 16 MiB of memory."""
    async with raw_server(Recorder()) as echo, raw_server(Talker()) as talks:
        urls = [(name, f"http://127.0.0.1:{raw.address.port}") for name, raw in (("echo", echo), ("talks", talks))]
        gateway = Gateway(tmp_path, *urls, server=server)
        try:
            await asyncio.to_thread(gateway.start)
            found = await measured(gateway)
        finally:
            await asyncio.to_thread(gateway.kill)
    dear = sorted(found, key=lambda name: found[name].seconds)[-3:]
    large = sorted(found, key=lambda name: found[name].memory)[-3:]
    tell(f"{server}, {len(found)} inputs: " + ", ".join(f"{name} {found[name].seconds * 1000:.0f} ms" for name in dear))
    tell(f"{server}: " + ", ".join(f"{name} {found[name].memory / MIB:.1f} MiB" for name in large))
    most = at_usual_pace(MOST_SECONDS)
    too_much = {name: cost for name, cost in found.items() if cost.seconds > most or cost.memory > MOST_MEMORY}
    assert not too_much


async def measured(gateway: Gateway) -> dict[str, Cost]:
    """The cost of each input; what seems dear is tried again, and the cheapest try counts: others were disturbed."""
    await answers(gateway.serves, "/echo/x")
    await answers(gateway.serves, "/talks/fine")
    idle = statistics.median([(await cost(gateway)).seconds for _ in range(9)])
    payloads = {name: payload.replace(b"%P", b"/echo/x") for name, payload in REQUESTS.items()}
    payloads |= {f"the answer {name.decode()}": asks(target=b"/talks/" + name) for name in ANSWERS}
    found = {}
    for name, payload in payloads.items():
        tries = [await cost(gateway, payload)]
        while len(tries) < TRIES and tries[-1].seconds - idle > MOST_SECONDS / 2:
            tries.append(await cost(gateway, payload))
        found[name] = Cost(min(one.seconds for one in tries) - idle, tries[0].memory)
    return found
