"""fastapi-proxy-lib as its documentation shows it, with connections enough to keep all of them open."""

import os

from fastapi import FastAPI
from fastapi_proxy_lib.core.http import ReverseHttpProxy
from fastapi_proxy_lib.core.websocket import ReverseWebSocketProxy
from fastapi_proxy_lib.fastapi.router import RouterHelper
from httpx import AsyncClient, Limits

_ORIGIN = f"http://127.0.0.1:{os.environ['BENCH_ORIGIN']}/"
_ECHO = f"ws://127.0.0.1:{os.environ['BENCH_ECHO']}/"


def _app() -> FastAPI:
    helper = RouterHelper()
    client = AsyncClient(
        limits=Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60), timeout=60
    )
    websockets = helper.register_router(ReverseWebSocketProxy(base_url=_ECHO))
    requests = helper.register_router(ReverseHttpProxy(client, base_url=_ORIGIN))
    made = FastAPI(lifespan=helper.get_lifespan())
    made.include_router(websockets)
    made.include_router(requests)
    return made


app = _app()
