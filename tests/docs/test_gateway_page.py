"""The page on the gateway, exactly as it stands there, served."""

import dataclasses
import re
import signal
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from hydra_asgi import StaticInstance
from hydra_asgi.cli.commands import application
from hydra_asgi.site.site_file import parse_site
from tests.e2e.client import get
from tests.e2e.processes import Process, all_of, free_port, wait_until

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "gateway.md").read_text()
FILES = dict(re.findall(r'```[a-z]+ title="([^"]+)"\n(.*?)```', TEXT, re.DOTALL))


@pytest.mark.e2e
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    """The files of the page, served by its commands, show what it promises."""
    box, front = free_port(), free_port()
    assert sorted(FILES) == ["box/frag/checkout.html", "box/legacy/index.html", "site.toml"]
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("9000", str(box)))
    config = tmp_path / "site.toml"
    served = [
        sys.executable,
        "-m",
        "http.server",
        str(box),
        "--bind",
        "127.0.0.1",
        "--directory",
        str(tmp_path / "box"),
    ]
    command = [sys.executable, "-m", "hydra_asgi", "gateway", "--port", str(front), "--config", str(config)]
    legacy = Process(served, tmp_path / "box.log", port=box)
    gateway = Process(command, tmp_path / "gateway.log", port=front)
    with all_of(legacy, gateway):
        page = get(front, "/legacy/")
        assert page.status == 200
        assert "A page from the old days." in page.body
        assert "<form>Pay here</form>" in page.body
        assert "Checkout is taking a short break." not in page.body
        config.write_text(
            config.read_text().replace('"/legacy/{rest:path}"', '"/old/{rest:path}", "/legacy/{rest:path}"')
        )
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: get(front, "/old/x").status == 404, "the new route reaches the box")
        config.write_text("[gateway]\nkay = 1\n")
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: "site.toml:2: kay: there is no such option" in gateway.output, "the mistake is logged")
        assert get(front, "/legacy/").status == 200
        legacy.kill()
        wait_until(lambda: get(front, "/legacy/").status == 503, "its health check takes it out")
        assert gateway.terminate() == 0


def test_the_site_file_is_one() -> None:
    """The example is read without a mistake."""
    assert [one.service for one in parse_site(FILES["site.toml"]).instances] == ["legacy"]


def test_every_key_is_explained() -> None:
    """The table has a row for every key of an instance."""
    for field in dataclasses.fields(StaticInstance):
        assert re.search(rf"^\|.*`{field.name}`", TEXT, re.MULTILINE), field.name


def test_every_option_is_explained() -> None:
    """The table has a row for every option of the command."""
    command = get_command(application).commands["gateway"]  # type: ignore[attr-defined]  # it is a group
    for parameter in command.params:
        option = parameter.opts[0]
        assert option == "--help" or f"`{option}" in TEXT, option
