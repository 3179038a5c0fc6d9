"""What the page on Kubernetes shows is YAML, and names options, commands and paths that are there."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from typer.main import get_command

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.cli.commands import application
from hydra_asgi.options import Options
from tests.e2e.processes import ROOT
from tests.exchange import exchange, http_scope

TEXT = (ROOT / "docs" / "kubernetes.md").read_text()
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml[^\n]*\n(.*?)```", TEXT, re.DOTALL)]
KEY = "my-site"
CHOSEN_BY_THE_SERVER = {"HYDRA_PORT", "HYDRA_SERVICE_HOST", "HYDRA_SERVICE_PORT"}


def within(value: Any, name: str) -> Iterator[Any]:
    """Every value under that name, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name:
                yield inner
            yield from within(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from within(inner, name)


COMMANDS = [command for command in within(BLOCKS, "command") if command[0] == "hydra-asgi"]
PATHS = sorted({probe["path"] for probe in within(BLOCKS, "httpGet")})


def test_there_is_something_to_look_at() -> None:
    """The page has a deployment, a service, an ingress, a policy and two pieces."""
    kinds = sorted(block["kind"] for block in BLOCKS if isinstance(block, dict) and "kind" in block)
    assert kinds == ["Deployment", "Ingress", "NetworkPolicy", "Service"]
    assert len(BLOCKS) == 6
    assert len(COMMANDS) == 2
    assert PATHS == ["/h/live", "/h/ready"]


def test_every_variable_is_an_option() -> None:
    """Those that Kubernetes makes by itself are none, as the page says."""
    options = {f"HYDRA_{name.upper()}" for name in Options.__slots__}
    assert set(re.findall(r"HYDRA_[A-Z_]*[A-Z]", TEXT)) - options == CHOSEN_BY_THE_SERVER


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_every_command_can_be_read(command: list[str]) -> None:
    """The commands of the page know the options that they are given."""
    called = get_command(application).commands[command[1]]  # type: ignore[attr-defined]  # it is a group
    called.make_context(command[1], command[2:])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("inner", [False, True])
async def test_probes_find_their_path(path: str, inner: bool) -> None:
    """Also where the control plane has a listener of its own."""
    hydra = Hydra(gateway=True, key=KEY, public_control=not inner)
    node = HydraMiddleware(None, hydra=hydra)
    await hydra.start()
    try:
        assert (await exchange(hydra.control if inner else node, http_scope(path))).status in (200, 503)
        if inner:
            assert (await exchange(node, http_scope(path))).status == 404
    finally:
        await hydra.stop()


async def test_the_call_to_drain_is_there() -> None:
    """Other programs may make it: without a signature it is refused, and not unknown."""
    path = re.search(r"`POST (/h/\S+)`", TEXT)
    assert path is not None
    hydra = Hydra(gateway=True, key=KEY, secret="a secret of sixteen characters")
    node = HydraMiddleware(None, hydra=hydra)
    await hydra.start()
    try:
        asked = http_scope(
            path[1].replace("{key}", KEY), method="POST", headers=[(b"content-type", b"application/json")]
        )
        assert (await exchange(node, asked)).status == 401
    finally:
        await hydra.stop()


def test_probes_ask_the_port_that_is_served() -> None:
    """Command, container and probes agree, and the address is that of the pod."""
    container = BLOCKS[0]["spec"]["template"]["spec"]["containers"][0]
    port = container["ports"][0]["containerPort"]
    assert f"--port {port}" in " ".join(container["command"])
    assert {probe["port"] for probe in within(container, "httpGet")} == {port}
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert variables["HYDRA_ADDRESS"] == f"http://$(POD_IP):{port}"
    assert container["lifecycle"]["preStop"]["exec"]["command"][-1].endswith(f":{port}")


def test_only_the_process_itself_restarts_a_pod() -> None:
    """A store that is away must not end nodes that go on without it, nor those that wait for it."""
    container = BLOCKS[0]["spec"]["template"]["spec"]["containers"][0]
    assert container["startupProbe"]["httpGet"]["path"] == container["livenessProbe"]["httpGet"]["path"] == "/h/live"


def test_a_pod_has_the_time_to_end() -> None:
    """The hook, which waits eleven seconds at most, and what the server then finishes fit into the time it gets."""
    drain = get_command(application).commands["drain"]  # type: ignore[attr-defined]  # it is a group
    waits = {parameter.name: parameter.default for parameter in drain.params}
    given = next(within(BLOCKS, "terminationGracePeriodSeconds"))
    assert given > waits["settle"] + waits["wait"] + Options().grace
