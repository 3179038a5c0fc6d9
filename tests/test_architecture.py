"""The arrows between the layers, the purity of the core, and the public surface."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hydra_asgi

PACKAGE = Path(hydra_asgi.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Who may import whom inside the package. A layer may always import itself. Whoever adds an arrow explains it in
# docs/architecture.md first.
ARROWS: dict[str, set[str]] = {
    "errors": {"core"},
    "core": {"errors"},
    "ports": {"core"},
    "websocket_ports": {"core", "ports"},
    "wire": {"core", "errors"},
    "gateway": {"core", "errors", "ports", "websocket_ports", "wire"},
    "control": {"core", "errors", "ports", "wire"},
    "service": {"core", "errors", "ports", "wire"},
    "discovery": {"core", "errors"},
    "backends": {"core", "errors", "ports", "websocket_ports", "wire"},
    "options": {"core", "errors"},
    "site": {"core", "discovery", "errors", "options"},
    "node": {
        "backends", "control", "core", "discovery", "errors", "gateway", "options", "ports", "service", "site",
        "wire",
    },
    "hydra": {"backends", "control", "core", "node", "options", "ports", "service", "site"},
    "middleware": {"discovery", "gateway", "hydra", "node", "service"},
    "testing": {"core", "discovery", "errors", "hydra", "middleware", "node", "ports"},
    "cli": {"backends", "core", "discovery", "errors", "gateway", "hydra", "middleware", "options", "ports"},
    "__main__": {"cli"},
    "": {"hydra", "middleware", "errors", "site"},
}  # fmt: skip

# What a layer may import from outside the standard library.
LIBRARIES: dict[str, set[str]] = {
    "core": set(),
    "ports": set(),
    "websocket_ports": set(),
    "wire": {"pydantic", "pydantic_core"},
    "gateway": {"asgiref"},
    "control": {"asgiref"},
    "service": {"asgiref"},
    "hydra": {"asgiref"},
    "node": {"asgiref"},
    "middleware": {"asgiref"},
    "testing": {"asgiref"},
    "backends": {
        "httptools",
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "selectolax",
        "redis",
        "websockets",
        "prometheus_client",
        "opentelemetry",
        "asgiref",
    },
    "cli": {"typer", "rich", "uvicorn"},
}

IMPURE = {"asyncio", "random", "secrets", "socket", "time", "logging", "threading", "os", "subprocess", "uuid"}


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE.parent).with_suffix("")
    return ".".join(relative.parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows_point_inwards(path: Path) -> None:
    """A module imports only from the layers that its layer may know."""
    layer = layer_of(name_of(path))
    for module in imports(path):
        if module.split(".")[0] == "hydra_asgi":
            target = layer_of(module)
            assert target == layer or target in ARROWS[layer], f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_libraries_stay_at_the_edges(path: Path) -> None:
    """Third-party libraries appear only in the layers that are there for them."""
    layer = layer_of(name_of(path))
    for module in imports(path):
        top = module.split(".")[0]
        if top == "hydra_asgi" or top in sys.stdlib_module_names:
            continue
        assert top in LIBRARIES.get(layer, set()), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", [path for path in MODULES if "core" in path.relative_to(PACKAGE).parts], ids=name_of)
def test_core_is_pure(path: Path) -> None:
    """The core has no clock, no chance, no I/O, no logging and nothing to await."""
    assert not IMPURE.intersection(module.split(".")[0] for module in imports(path))
    impure = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    assert not any(isinstance(node, impure) for node in ast.walk(ast.parse(path.read_text())))


def test_one_library_per_backend() -> None:
    """Each backend wraps one third-party library, so that it can be replaced alone."""
    families = {"httpx": "httpx", "httpx2": "httpx", "httpcore": "httpx", "httpcore2": "httpx"}
    for path in (PACKAGE / "backends").glob("*.py"):
        tops = {module.split(".")[0] for module in imports(path)}
        used = {families.get(top, top) for top in tops & LIBRARIES["backends"] - {"asgiref"}}
        assert len(used) <= 1, f"{path.name} uses {used}"


def test_public_names() -> None:
    """`hydra_asgi` exports a sorted `__all__` and nothing that is not there."""
    names = hydra_asgi.__all__
    assert names == sorted(names)
    assert all(hasattr(hydra_asgi, name) for name in names)
    public = {name for name in vars(hydra_asgi) if not name.startswith("_")}
    submodules = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    assert public - submodules <= set(names)


def test_no_module_keeps_growing() -> None:
    """A module that passes 400 lines is two modules."""
    long = {name_of(path): count for path in MODULES if (count := len(path.read_text().splitlines())) > 400}
    assert not long
