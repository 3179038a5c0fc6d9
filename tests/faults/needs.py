"""What fault tests need of the machine. Where it is missing the test is skipped with the reason; on CI it fails."""

import os
import shutil
from collections.abc import Sequence
from typing import TypeVar

import pytest

__all__ = ["dies_with_us", "is_root", "missing", "need"]

T = TypeVar("T")


def need(found: T | None, what: str) -> T:
    """`found`, or an end of the test that says what is missing.

    Args:
        found: None when it is not there.
        what: is needed, and how to get it.
    """
    if found is None:
        missing(what)
    return found


def missing(what: str) -> None:
    """End the test: something it needs is not on this machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"this test needs {what}")
    pytest.skip(f"needs {what}")


def is_root() -> bool:
    """Whether we may make network namespaces."""
    return os.geteuid() == 0


def dies_with_us(command: Sequence[str]) -> list[str]:
    """The command, ended by the kernel when this process is gone, so that a killed test run leaves nothing behind."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else list(command)
