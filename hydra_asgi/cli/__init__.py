"""The command `hydra-asgi`. Importing this loads nothing: the library works without the `cli` extra."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, or say in one line what is missing (exit code 2)."""
    try:
        from hydra_asgi.cli.commands import run
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.stderr.write(f"hydra-asgi: {error.name} is not installed, run: pip install 'hydra-asgi[cli]'\n")
        sys.exit(2)
    run()
