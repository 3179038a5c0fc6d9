"""What one takes in Python otherwise: fastapi-proxy-lib, or a few lines on aiohttp."""

from benchmarks.peers.subject import UVICORN, Place, Subject, uvicorn
from benchmarks.processes import Process
from benchmarks.tools import PythonPackage

__all__ = ["AIOHTTP", "FASTAPI_PROXY_LIB"]


def _start_aiohttp(place: Place) -> Process:
    return uvicorn(place, "benchmarks.apps.aiohttp_proxy:app")


def _start_fastapi_proxy_lib(place: Place) -> Process:
    return uvicorn(place, "benchmarks.apps.fastapi_proxy:app")


AIOHTTP = Subject("aiohttp", _start_aiohttp, needs=(*UVICORN, PythonPackage("aiohttp")), has_websockets=False)
FASTAPI_PROXY_LIB = Subject(
    "fastapi-proxy-lib",
    _start_fastapi_proxy_lib,
    needs=(*UVICORN, PythonPackage("fastapi-proxy-lib"), PythonPackage("httpx")),
)
