"""What the figures were measured on: the machine without its name, and the versions of everything."""

import os
import platform
from pathlib import Path

from benchmarks.load import WRK
from benchmarks.peers.all import SUBJECTS
from benchmarks.tools import Need, PythonPackage

__all__ = ["cores", "facts"]


def cores() -> tuple[int, int]:
    """The core of the proxies, and that of the origin and the load; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


def facts() -> dict[str, str]:
    """What to know about this machine."""
    needs: dict[str, Need] = {need.name: need for subject in SUBJECTS for need in subject.needs}
    needs |= {WRK.name: WRK, "websockets": PythonPackage("websockets")}
    return {
        "processor": _line("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": _line("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load before": " ".join(f"{value:.1f}" for value in os.getloadavg()),
        **{name: version for name, need in needs.items() if (version := need.version())},
    }


def _line(file: str, name: str) -> str:
    """The value of the first `name: value` line of a file."""
    lines = (line.partition(":") for line in Path(file).read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
