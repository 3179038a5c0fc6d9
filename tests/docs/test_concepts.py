"""The pieces of code on the page of concepts run, one after another."""

import re
from pathlib import Path
from typing import Any

from hydra_asgi import Hydra

TEXT = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text()


def test_the_pieces_run() -> None:
    """They make a node that lends what is said there, with the fragment that is declared there."""
    names: dict[str, Any] = {"Hydra": Hydra}
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(code, names)
    hydra = names["hydra"]
    assert hydra.options.forward["orderService"] == ("X-Tenant", "cookie:sid")
    assert [declared.ref for declared in hydra.declarations.fragments] == ["checkout"]
