"""The pages hang together: each is in the menu, and what one links to is there."""

import re
from pathlib import Path

import pytest
import yaml

from tests.e2e.processes import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    """What is said on a page, without its code."""
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Of its headings, as the documentation makes them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_every_page_is_in_the_menu() -> None:
    """Nobody finds what is nowhere listed."""
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert sorted(path for entry in menu for path in entry.values()) == PAGES


def test_every_page_is_named_on_the_first() -> None:
    """The first page, and the README, say where to go on."""
    for text, folder in ((DOCS / "index.md").read_text(), ""), ((ROOT / "README.md").read_text(), "docs/"):
        linked = set(re.findall(rf"\]\({folder}([\w/]+\.md)\)", text))
        assert set(PAGES) - linked <= {"index.md"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every page, heading and picture that is linked to exists."""
    here = DOCS / page
    lost = []
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text_of(here)):
        there = here if not target else here.parent / target
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(f"{target}#{anchor}")
    assert lost == []
