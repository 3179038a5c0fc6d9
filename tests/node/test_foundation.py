"""What the parts of a node share."""

import time
from typing import Any

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.admission.signature import verify
from hydra_asgi.node.foundation import Foundation
from hydra_asgi.node.observing import Observing
from hydra_asgi.node.own_app import OwnApp
from hydra_asgi.options import read_options
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.testing import FakeUpstream
from tests.doubles.prober import FakeProber

SHARED: Any = object()
"""A store that is not one process's memory; nobody asks it anything here."""


def foundation(store: Any = SHARED, **options: Any) -> Foundation:
    read = read_options(options, {})
    own = OwnApp(read, Declarations())
    return Foundation(read, own, Declarations(), store, FakeUpstream(), FakeProber(), Observing())


@pytest.mark.parametrize(
    ("store", "options", "lacks"),
    [
        (SHARED, {}, True),
        (SHARED, {"key": "k"}, True),
        (SHARED, {"secret": "s" * 16}, False),
        (MemoryStore(), {}, False),
        (SHARED, {"service": "s", "gateways": "http://g:1", "address": 1, "key": "k"}, False),
    ],
)
def test_who_finds_its_secret_in_the_store(store: Any, options: dict[str, Any], lacks: bool) -> None:
    """A node that opens a shared store, and was given no secret."""
    assert foundation(store, **options).lacks_secret is lacks


@pytest.mark.parametrize(
    ("store", "options", "refuses"),
    [
        (MemoryStore(), {"key": "k"}, True),
        (MemoryStore(), {}, False),
        (MemoryStore(), {"key": "k", "secret": "s" * 16}, False),
        (MemoryStore(), {"key": "k", "accept_unsigned": "10.0.0.0/8"}, False),
        (MemoryStore(), {"key": "k", "service_secrets": {"orders": "s" * 16}}, False),
        (MemoryStore(), {"service": "s", "gateways": "http://g:1", "address": 1, "key": "k"}, False),
        (SHARED, {"key": "k"}, False),
    ],
)
def test_a_key_that_lets_nobody_in(store: Any, options: dict[str, Any], refuses: bool) -> None:
    """A gateway whose key says that services are expected, and that has nothing to know them by."""
    assert foundation(store, **options).refuses_everybody is refuses


def test_nodes_that_share_a_secret_understand_each_other() -> None:
    """With the same secret of the store they have the same key, and accept each other's signatures."""
    one, other = foundation(), foundation()
    assert not other.guard.check_key(one.key)
    for node in (one, other):
        node.take_secret(b"x" * 32)
    assert one.key == other.key
    assert other.guard.check_key(one.key)
    ((_, signature),) = one.signer("POST", "/h/fragment/k/requestFragment", b"{}")
    call = {"method": "POST", "path": "/h/fragment/k/requestFragment", "body": b"{}"}
    assert verify(other.guard._secret, signature.decode(), **call, now=time.time()).is_good


def test_the_operators_key_stays() -> None:
    """A key that was given is the key, wherever the secret comes from; else it is as hard to guess as the secret."""
    given, made = foundation(key="k"), foundation()
    for node in (given, made):
        node.take_secret(b"x" * 32)
    assert given.key == "k"
    assert given.guard.check_key("k")
    assert len(made.key) == 32
    assert made.key not in (b"x" * 32).hex()


def test_every_node_has_a_name_of_its_own() -> None:
    """Two nodes are never taken for each other in `Via`."""
    assert foundation().pseudonym != foundation().pseudonym
