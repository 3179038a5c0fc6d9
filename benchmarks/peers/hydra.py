"""Ours: a gateway node, with the origin registered by a process of its own."""

from secrets import token_urlsafe

from benchmarks.peers.subject import UVICORN, Place, Subject, uvicorn
from benchmarks.processes import Process

__all__ = ["SUBJECT"]


def _start(place: Place) -> Process:
    cluster = {"BENCH_KEY": token_urlsafe(8), "BENCH_SECRET": token_urlsafe(24)}
    gateway = uvicorn(place, "benchmarks.apps.gateway:app", **cluster)
    place.processes.python(
        "benchmarks.apps.instances",
        core=place.load_core,
        env={
            **cluster,
            "BENCH_GATEWAY": str(place.port),
            "BENCH_ORIGIN": str(place.origin),
            "BENCH_ECHO": str(place.echo),
        },
    )
    return gateway


SUBJECT = Subject("hydra_asgi", _start, needs=UVICORN)
