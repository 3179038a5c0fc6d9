"""The page on options is complete, and its defaults are those of the code."""

import inspect
import re
from pathlib import Path

from hydra_asgi import Hydra
from hydra_asgi.options import OPTION_NAMES, Options

TEXT = (Path(__file__).parents[2] / "docs" / "options.md").read_text()
ROWS = dict(re.findall(r"^\| `([a-z_]+)` \| (.*?) \|", TEXT, re.MULTILINE))


def test_every_argument_has_a_row() -> None:
    """Whatever `Hydra` takes is explained, and nothing else is."""
    assert set(ROWS) == set(inspect.signature(Hydra).parameters)


def test_the_defaults_are_true() -> None:
    """What the page calls the default is what an option is without being given."""
    usual = Options()
    for name in OPTION_NAMES:
        said = ROWS[name].strip("`")
        value = getattr(usual, name)
        if name == "gateway":
            assert value is True
        elif value in ((), {}, None):
            assert said == "none", name
        else:
            assert said == (f"{value:g}" if isinstance(value, float) else str(value) or '""'), name
