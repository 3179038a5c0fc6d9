"""HTTP/1.1 to instances: `NativeUpstream`, the data plane's own client."""

from hydra_asgi.backends.native_upstream.response import NativeResponse
from hydra_asgi.backends.native_upstream.upstream import NativeUpstream

__all__ = ["NativeResponse", "NativeUpstream"]
