"""Fakes for your own tests: fragments from a dictionary, services without sockets.

Test a page without the teams whose fragments it shows:

```python
from hydra_asgi.testing import FragmentCause, fake_fragments

def test_the_page_shows_the_checkout():
    with fake_fragments(hydra, {("orders", "checkout"): "<form>pay</form>"}) as fragments:
        page = TestClient(app).get("/basket")
    assert "<form>pay</form>" in page.text
    assert fragments.asked[0].imports == ("currency",)

def test_the_page_survives_without_the_checkout():
    with fake_fragments(hydra, {("orders", "checkout"): FragmentCause.TIMEOUT}):
        assert "a short break" in TestClient(app).get("/basket").text
```

Test apps together, in one process:

```python
from hydra_asgi.testing import fake_services

def test_the_site():
    with fake_services(hydra, {"orders": orders_app}) as services:
        client = TestClient(app)
        assert client.get("/orders/7").status_code == 200
        services.stop("orders")
        assert client.get("/orders/7").status_code == 503
```

Both work under Starlette's `TestClient`, under `httpx.ASGITransport`, and in async tests.

For code that implements or uses the ports of this library there are `AsgiUpstream`, which calls ASGI apps in the same
process, and `FakeUpstream` with `FakeResponse`, which answers from a list.
"""

from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.testing.asgi_upstream import AsgiUpstream
from hydra_asgi.testing.fake_fragments import Asked, FakeFragments, fake_fragments
from hydra_asgi.testing.fake_services import FakeServices, fake_services
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream

__all__ = [
    "AsgiUpstream",
    "Asked",
    "FakeFragments",
    "FakeResponse",
    "FakeServices",
    "FakeUpstream",
    "FragmentCause",
    "fake_fragments",
    "fake_services",
]
