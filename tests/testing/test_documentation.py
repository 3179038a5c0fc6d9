"""What the documentation shows about testing is true."""

import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import hydra_asgi.testing

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(text: str, names: dict[str, Any]) -> int:
    """Execute every block of a text in one namespace, then its tests; returns how many there were."""
    for block in BLOCK.findall(text):
        exec(block, names)
    tests = [thing for name, thing in names.items() if name.startswith("test_")]
    for test in tests:
        asyncio.run(test()) if inspect.iscoroutinefunction(test) else test()
    return len(tests)


def test_the_page() -> None:
    """Every example of the page runs, and its tests pass."""
    assert run(PAGE.read_text(), {}) == 4


def test_the_module_docstring() -> None:
    """So do those of the module, for a shop with a basket and an app with orders."""
    names: dict[str, Any] = {}
    run(PAGE.read_text(), names)
    site = {name: names[name] for name in ("app", "hydra", "orders_app", "TestClient")}
    text = inspect.cleandoc(hydra_asgi.testing.__doc__ or "")
    assert run(text, site) == 3
