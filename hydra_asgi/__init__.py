"""Server-side micro-frontends for Python: several apps, one site, as an ASGI middleware.

    from hydra_asgi import Hydra, HydraMiddleware

    hydra = Hydra(service="orders", gateways=["http://127.0.0.1:8000"], address="http://127.0.0.1:8001")

    app.add_middleware(HydraMiddleware, hydra=hydra)              # FastAPI, Starlette
    app.asgi_app = HydraMiddleware(app.asgi_app, hydra=hydra)     # Quart
    app = HydraMiddleware(app, hydra=hydra)                       # any other ASGI app

`Hydra` is the node: it declares fragments and menu entries, and knows the site. `HydraMiddleware` mounts it in an app.
`StaticInstance` stands for what cannot register. Both errors are raised at the start; all others are in
`hydra_asgi.errors`. For your own tests there is `hydra_asgi.testing`, and `hydra_asgi.ports` says what may be given as
`store=`, `upstream=` and `on_event=`.
"""

from hydra_asgi.errors import ConfigurationError, HydraError
from hydra_asgi.hydra import Hydra
from hydra_asgi.middleware import HydraMiddleware
from hydra_asgi.site.static_instance import StaticInstance

__all__ = ["ConfigurationError", "Hydra", "HydraError", "HydraMiddleware", "StaticInstance"]
