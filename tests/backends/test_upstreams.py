"""Which library carries requests to other nodes."""

import httpx2

from hydra_asgi.backends.httpx_upstream import HttpxUpstream
from hydra_asgi.backends.native_upstream.upstream import NativeUpstream
from hydra_asgi.backends.upstreams import open_upstream
from hydra_asgi.testing import FakeUpstream


async def test_upstreams() -> None:
    """Ours by default; one that is given is taken as it is; a transport or client in the form of httpx is wrapped."""
    given = FakeUpstream()
    assert open_upstream(given) is given
    assert isinstance(open_upstream(None), NativeUpstream)
    for other in (httpx2.AsyncHTTPTransport(), httpx2.AsyncClient()):
        upstream = open_upstream(other)
        assert isinstance(upstream, HttpxUpstream)
        await upstream.close()
        if isinstance(other, httpx2.AsyncClient):
            await other.aclose()
