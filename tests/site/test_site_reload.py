"""Taking over a site file that was changed."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hydra_asgi import StaticInstance
from hydra_asgi.site.site_file import load_site
from hydra_asgi.site.site_reload import ReloadSignal, SiteReload

ONE = '[gateway]\nkey = "a"\n[[instances]]\nservice = "legacy"\nurl = "http://10.0.0.9:8080"\n'
TWO = ONE + '[[instances]]\nservice = "other"\nurl = "http://10.0.0.10:8080"\n'
BESIDE = StaticInstance(service="coded", url="http://10.0.0.11:8080")

Eventually = Callable[..., Any]


class Rig:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.swaps: list[list[str]] = []
        path.write_text(ONE)
        self.reload = SiteReload(load_site(str(path)), self.swap, [BESIDE])

    async def swap(self, instances: Sequence[StaticInstance]) -> None:
        self.swaps.append([one.service for one in instances])


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "site.toml")


async def test_a_good_file(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The instances of the file are swapped; those that code names stay beside them."""
    caplog.set_level(logging.INFO, "hydra_asgi.site")
    rig.path.write_text(TWO)
    assert await rig.reload()
    assert rig.swaps == [["legacy", "other", "coded"]]
    assert [record.getMessage() for record in caplog.records] == [f"{rig.path} is taken over: 2 instances"]


async def test_a_broken_file(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A file with a mistake changes nothing, and the log names the mistake; mended, it is taken over."""
    rig.path.write_text(TWO + "wieght = 3\n")
    assert not await rig.reload()
    assert rig.swaps == []
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert f"{rig.path}:9: instances[2].wieght: there is no such key" in record.getMessage()
    rig.path.write_text(ONE)
    assert await rig.reload()
    assert len(rig.swaps) == 1


async def test_changed_options(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Options take effect with the next start; the log says so, once."""
    rig.path.write_text(ONE.replace('"a"', '"b"'))
    assert await rig.reload()
    assert await rig.reload()
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "[gateway] has changed; that takes effect with the next start"
    ]


async def test_the_signal(eventually: Eventually, caplog: pytest.LogCaptureFixture) -> None:
    """SIGHUP reloads in the loop, errors are logged, and afterwards the signal is as it was before."""
    before = signal.getsignal(signal.SIGHUP)
    calls: list[asyncio.AbstractEventLoop] = []

    async def reload() -> None:
        calls.append(asyncio.get_running_loop())
        raise RuntimeError("a bug")

    listening = ReloadSignal(asyncio.get_running_loop(), reload)
    assert listening.install()
    os.kill(os.getpid(), signal.SIGHUP)
    await eventually(lambda: caplog.records)
    assert calls == [asyncio.get_running_loop()]
    await listening.remove()
    assert signal.getsignal(signal.SIGHUP) == before


async def test_removal_ends_what_goes_on(eventually: Eventually) -> None:
    """A reload that hangs is cancelled; a handler that somebody else has installed since is left alone."""
    before = signal.getsignal(signal.SIGHUP)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def reload() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    listening = ReloadSignal(asyncio.get_running_loop(), reload)
    assert listening.install()
    os.kill(os.getpid(), signal.SIGHUP)
    await begun.wait()
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        await listening.remove()
        assert ended.is_set()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_not_from_here() -> None:
    """Outside of the main thread nobody can listen to signals; removing what was not installed is fine."""
    listening = ReloadSignal(asyncio.get_running_loop(), lambda: asyncio.sleep(0))
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(listening.install()))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert heard == [False]
    await listening.remove()


def test_a_loop_that_is_gone() -> None:
    """A signal after the end of the loop reaches nobody and breaks nothing."""
    loop = asyncio.new_event_loop()
    listening = ReloadSignal(loop, lambda: asyncio.sleep(0))
    before = signal.getsignal(signal.SIGHUP)
    assert listening.install()
    loop.close()
    try:
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
