"""Which library carries requests to other nodes: our own client, or what the user gives."""

from hydra_asgi.backends.httpx_upstream import HttpxUpstream
from hydra_asgi.backends.native_upstream.upstream import NativeUpstream
from hydra_asgi.ports import Upstream

__all__ = ["open_upstream"]


def open_upstream(given: object) -> Upstream:
    """Our upstream, or the user's: an `Upstream`, or any async transport or client in the form of httpx."""
    if given is None:
        return NativeUpstream()
    if hasattr(given, "send") and not hasattr(given, "build_request"):
        return given  # type: ignore[return-value]  # a Protocol: it has the verb, its types are the user's word
    return HttpxUpstream(given)
