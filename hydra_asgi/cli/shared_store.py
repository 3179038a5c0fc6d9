"""The store that a command looks into. A command is a process of its own, so it has to be a store that is shared."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from hydra_asgi.backends.stores import open_store
from hydra_asgi.cli.output import fail, tell
from hydra_asgi.core.instance import Snapshot
from hydra_asgi.errors import ConfigurationError, HydraError, RefusedError, StoreError
from hydra_asgi.options import MEMORY
from hydra_asgi.options.urls import read_store
from hydra_asgi.ports import Store

__all__ = ["AWAY", "OVERTAKEN", "WRONG", "AsJson", "OvertakenError", "StoreUrl", "ask", "look"]

T = TypeVar("T")

OVERTAKEN = 1
"""The exit code when somebody else was quicker: the same call may be right, once what he did was looked at."""

WRONG = 2
"""The exit code of a call that cannot work as it was written."""

AWAY = 3
"""The exit code when the store did not answer: the same call may work later."""

PATIENCE = 5.0
"""Seconds for everything a command asks of the store. A store answers in milliseconds or says what is wrong."""

StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="HYDRA_STORE",
        help="Where the site keeps its directory: redis://host:6379/0, or sqlite:///path/site.db on one host.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class OvertakenError(HydraError):
    """Somebody else has changed in this moment what this call would have changed."""


def look(url: str | None) -> Snapshot:
    """The directory as it is now.

    Raises:
        typer.Exit: it cannot be read; stderr says why in one line.
    """
    snapshot = ask(url, lambda store: store.snapshot())
    if not snapshot.instances and not snapshot.settings:
        tell("nothing is registered in this store")
    return snapshot


def ask(url: str | None, question: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store, ask it, and close it. A file that is not there is not made: its name is mistyped.

    Args:
        url: what `--store` or HYDRA_STORE says.
        question: is awaited with the open store.

    Raises:
        typer.Exit: with `WRONG` for a URL that cannot be used, with `AWAY` when the store does not answer, with
            `OVERTAKEN` when somebody else was quicker.
    """
    try:
        return asyncio.run(_asked(open_store(_shared(url), on_alarm=tell, may_create=False), question))
    except (ConfigurationError, RefusedError) as error:
        fail(WRONG, str(error))
    except OvertakenError as error:
        fail(OVERTAKEN, str(error))
    except StoreError as error:
        fail(AWAY, str(error))


async def _asked(store: Store, question: Callable[[Store], Awaitable[T]]) -> T:
    try:
        async with asyncio.timeout(PATIENCE):
            return await question(store)
    except TimeoutError:
        raise StoreError(f"the store did not answer within {PATIENCE:g} s") from None
    finally:
        await store.close()


def _shared(url: str | None) -> str:
    ways_out = "sqlite:///path/site.db for the processes of one host, or redis://host:6379/0 for a fleet"
    if url is None:
        raise ConfigurationError(f"no store is named: give --store or set HYDRA_STORE, to {ways_out}")
    if read_store(url, "--store") == MEMORY:
        raise ConfigurationError(
            f"--store is {MEMORY!r}, which ends at the process that has it, so that there is nothing to look at from "
            f"here: let the nodes share a store, {ways_out}"
        )
    return url.strip()
