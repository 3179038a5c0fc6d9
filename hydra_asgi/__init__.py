"""Server-side micro-frontends for Python: several apps, one site, as an ASGI middleware."""

from hydra_asgi.errors import ConfigurationError, HydraError
from hydra_asgi.hydra import Hydra
from hydra_asgi.middleware import HydraMiddleware
from hydra_asgi.site.static_instance import StaticInstance

__all__ = ["ConfigurationError", "Hydra", "HydraError", "HydraMiddleware", "StaticInstance"]
