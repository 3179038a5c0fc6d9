"""The example of a hook, exactly as it stands in the page on operations."""

import re
from pathlib import Path
from typing import Any

from hydra_asgi import Hydra
from hydra_asgi.core.events import EjectionRecord

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def test_the_hook_pages_somebody() -> None:
    """It is called for an instance that is ejected, and not for one that is back."""
    found = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    paged: list[tuple[str, ...]] = []
    names: dict[str, Any] = {"Hydra": Hydra, "page_somebody": lambda *words: paged.append(words)}
    exec(found[1], names)
    for seconds in (1.0, 0.0):
        names["notice"](EjectionRecord("orders", 1, "10.0.0.1:80", seconds, "reset"))
    assert paged == [("orders", "10.0.0.1:80", "reset")]
    assert names["hydra"].options.service == "shop"
