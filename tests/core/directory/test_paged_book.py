"""A book that is opened page by page keeps the rules of the whole one, and says when it has to be looked at."""

from math import inf

from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.directory.paged_book import LOOK_SECONDS, BookState, PagedBook
from hydra_asgi.core.instance import Address, ServiceInstance

INSTANCE = ServiceInstance("orders", Address("http", "10.0.0.1", 8001))
LEASE = LeaseState("a", "orders", "10.0.0.1")


def test_a_new_book() -> None:
    """It starts from nothing and wants a first look."""
    book = PagedBook(BookState())
    assert book.state == BookState(0, 0, inf, None, 0.0)
    assert book.wants_look(17.0)
    assert not book.is_due(17.0)


def test_what_is_kept_goes_on() -> None:
    """State and pages put into another book make it answer as the first one would."""
    first = PagedBook(BookState())
    listed = first.register(INSTANCE, LEASE, 100.0)
    assert first.state == BookState(counter=1, orders=1, due=5.0, seen=100.0, watched=0.0)
    (page,) = first.listings.values()
    second = PagedBook(first.state)
    second.open(page)
    assert second.renew("a", "orders", 101.5)
    assert second.state == BookState(counter=1, orders=1, due=5.0, seen=101.5, watched=1.5)
    assert second.instances == (listed,)
    assert [lease.id for lease in second.leases_of("orders", "10.0.0.1", 101.5)] == ["a"]
    assert second.drain(listed.token, 101.5)
    assert second.release("a", "orders", 101.5)
    assert dict(second.listings) == {}
    assert second.state.counter == 3


def test_tokens_of_open_pages_are_taken() -> None:
    """A new instance moves on to the next token when a page has its own."""
    first = PagedBook(BookState())
    first.register(INSTANCE, LEASE, 0.0)
    (page,) = first.listings.values()
    page.listed = page.announced = ServiceInstance("shop", INSTANCE.address, token=page.listed.token)
    second = PagedBook(first.state)
    second.open(page)
    listed = second.register(INSTANCE, LeaseState("b", "orders"), 0.0)
    assert listed.token == page.listed.token + 1
    assert listed.order == 2


def test_when_a_look_has_to_be_kept() -> None:
    """After half a beat of looking, when the clock went backwards, and when something is due; not in between."""
    book = PagedBook(BookState(seen=100.0, watched=50.0, due=50.3))
    assert not book.wants_look(100.0)
    assert not book.wants_look(100.25)
    assert book.wants_look(100.35)
    assert book.is_due(100.35)
    relaxed = PagedBook(BookState(seen=100.0, watched=50.0))
    assert not relaxed.wants_look(100.0 + LOOK_SECONDS - 0.01)
    assert relaxed.wants_look(100.0 + LOOK_SECONDS)
    assert relaxed.wants_look(99.9)


def test_a_look_counts_what_was_watched() -> None:
    """A pause counts as one ordinary period."""
    book = PagedBook(BookState(seen=100.0, watched=50.0))
    assert book.look(101.5) == 51.5
    assert book.look(200.0) == 52.3
    assert book.state == BookState(seen=200.0, watched=52.3)
