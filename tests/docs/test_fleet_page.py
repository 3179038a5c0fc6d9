"""The page on fleets: its compose file, command by command, as processes on loopback; no containers."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from hydra_asgi.options import Options
from tests.docs.compose_file import ComposeFile
from tests.e2e.client import Answer, get
from tests.e2e.processes import ROOT, wait_until

PAGE = ROOT / "docs" / "fleet.md"
TEXT = PAGE.read_text()
FILES = dict(re.findall(r'```[a-z]+ title="([^"]+)"\n(.*?)```', TEXT, re.DOTALL))
SECRETS = dict(line.split("=", 1) for line in FILES[".env"].splitlines())
COMMANDS = [shlex.split(line) for line in re.findall(r"^docker compose (exec .*)$", TEXT, re.MULTILINE)]
WHOLE = "<h1>Shop</h1><button>Pay</button>"
PATIENCE = 30.0
"""Seven processes start together, on a machine that has other things to do."""


def opened(folder: Path) -> ComposeFile:
    """The files of the page, in a folder, with the ports of this machine in them."""
    compose = ComposeFile(FILES["compose.yaml"], SECRETS, folder, inner={"front": 80})
    for name in ("shop.py", "orders.py"):
        (folder / name).write_text(FILES[name])
    proxy = compose.on_loopback(FILES["haproxy.cfg"])
    (folder / "haproxy.cfg").write_text(proxy.replace("bind :80", f"bind 127.0.0.1:{compose.ports['front']}"))
    return compose


@pytest.mark.e2e
def test_the_compose_file_is_one_site(tmp_path: Path) -> None:
    """Started as it says, in the opposite order, two apps are one page; commands work, and Redis may go."""
    compose = opened(tmp_path)
    processes = {name: compose.process(name) for name in reversed(compose.services)}
    front = compose.ports["front"]

    def told() -> str:
        return "\n".join(f"{name}: {one.output[-1500:]}" for name, one in processes.items())

    def page(path: str = "/", **headers: str) -> Answer:
        return get(front, path, **headers)

    with ExitStack() as running:
        for process in processes.values():
            running.enter_context(process)
        wait_until(lambda: page().body == WHOLE, told, PATIENCE)
        wait_until(lambda: page("/orders").status == 200, told, PATIENCE)
        assert [page(path).status for path in ("/h/ready", "/%68/live", "/H/ready", "/h")] == [404] * 4
        for name in ("gateway-1", "gateway-2"):
            wait_until(lambda port=compose.ports[name]: get(port, "/h/ready").status == 200, told, PATIENCE)

        wait_until(lambda: _in_site(compose, "hydra-asgi", "services").count(" available ") == 2, told, PATIENCE)
        assert COMMANDS
        for _, node, *command in COMMANDS:
            _in_site(compose, *command, node=node)
        _in_site(compose, "hydra-asgi", "weights", "set", "orders", "v1=0", "v2=100")
        wait_until(lambda: {page("/orders").body for _ in range(8)} == {"Orders, version 2"}, told, PATIENCE)

        processes["gateway-1"].kill()
        processes["redis"].kill()
        wait_until(lambda: page().body == WHOLE, told, PATIENCE)
        wait_until(lambda: get(compose.ports["gateway-2"], "/h/ready").body.count("degraded") == 1, told, PATIENCE)
        assert (page().body, page("/orders").body) == (WHOLE, "Orders, version 2")


def _in_site(compose: ComposeFile, program: str, *arguments: str, node: str = "gateway-1") -> str:
    """Run a command as in the container of a node; what it has said."""
    assert program == "hydra-asgi"
    ended = subprocess.run(
        [sys.executable, "-m", "hydra_asgi", *arguments],
        env={**os.environ, **compose.environment(node), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, f"{arguments}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def test_every_variable_is_an_option() -> None:
    """A misspelt one would be ignored."""
    known = {f"HYDRA_{name.upper()}" for name in Options.__slots__}
    named = set(re.findall(r"HYDRA_[A-Z_]*[A-Z]", TEXT))
    assert named - known == set()


def test_containers_may_take_their_time_to_end() -> None:
    """Every node gets longer for its end than requests may go on after the stop."""
    services = yaml.safe_load(FILES["compose.yaml"])["services"]
    nodes = [one for one in services.values() if "build" in one]
    assert len(nodes) == 5
    assert all(int(one["stop_grace_period"].removesuffix("s")) > Options().grace for one in nodes)


def test_no_port_is_open_but_the_front_one() -> None:
    """Nodes and Redis are for each other."""
    services = yaml.safe_load(FILES["compose.yaml"])["services"]
    assert [name for name, one in services.items() if "ports" in one] == ["front"]


def test_the_files_of_the_image_are_on_the_page() -> None:
    """What the image copies, and what is mounted, is shown."""
    copied = re.findall(r"[\w.]+\.(?:py|cfg)", FILES["Dockerfile"] + str(yaml.safe_load(FILES["compose.yaml"])))
    assert set(copied) <= set(FILES)


def test_the_commands_of_the_examples_exist() -> None:
    """`python -m examples` knows the options of the page."""
    from examples.__main__ import _parser

    for line in re.findall(r"^python -m examples (.*)$", TEXT, re.MULTILINE):
        assert _parser().parse_args(shlex.split(line)).store.startswith("redis://")
