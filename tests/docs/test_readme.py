"""The two apps of the README, exactly as they stand there, served as it says."""

import re
from pathlib import Path

import pytest

from tests.docs.test_tutorial import free_ports, serving, wait_for

TEXT = (Path(__file__).parents[2] / "README.md").read_text()
FILES = dict(re.findall(r'```python title="([a-z]+\.py)"\n(.*?)```', TEXT, re.DOTALL))
SHARED = dict(pair.split("=") for pair in re.findall(r"HYDRA_[A-Z]+=\S+", TEXT))


@pytest.mark.e2e
def test_the_two_apps_are_one_page(tmp_path: Path) -> None:
    """The shop shows what the other app renders, and its own words while that one is away."""
    port = free_ports()
    for name, code in FILES.items():
        (tmp_path / name).write_text(code.replace("8000", str(port)).replace("8001", str(port + 1)))
    with serving(tmp_path, "shop", port, **SHARED):
        wait_for(port, "The checkout takes a short break.")
        with serving(tmp_path, "orders", port + 1, **SHARED):
            page = wait_for(port, "<button>Pay</button>")
    assert page == "<h1>Shop</h1><button>Pay</button>"


def test_the_apps_are_as_short_as_it_says() -> None:
    """Each has fewer than ten lines with something in them."""
    assert sorted(FILES) == ["orders.py", "shop.py"]
    assert all(len([line for line in code.splitlines() if line.strip()]) < 10 for code in FILES.values())


def test_what_it_links_to_is_there() -> None:
    """Every file that it names exists."""
    root = Path(__file__).parents[2]
    linked = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert linked
    assert not [path for path in linked if not (root / path).exists()]
