"""What was ordered. A real service would ask a database."""

from dataclasses import dataclass

__all__ = ["BASKET", "COUNTRIES", "ORDERS", "Item", "Order", "euros", "find", "total"]

COUNTRIES = ("Belgium", "Denmark", "France", "Germany", "Ireland", "Netherlands", "Norway", "Sweden")


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a basket or an order; the price is for all pieces, in euro cents."""

    pieces: int
    name: str
    cents: int


@dataclass(frozen=True, slots=True)
class Order:
    """One order.

    Attributes:
        id: its number in addresses.
        placed: the day, for people and for machines (`datetime` attribute).
        status: how far it has come, one of `STEPS`.
        items: what is in it.
    """

    id: int
    placed: tuple[str, str]
    status: str
    items: tuple[Item, ...]

    @property
    def steps(self) -> tuple[tuple[str, bool], ...]:
        """Every step, and whether it is done."""
        reached = STEPS.index(self.status)
        return tuple((step, number <= reached) for number, step in enumerate(STEPS))


STEPS = ("Paid", "Fired", "Packed", "On its way", "Arrived")

BASKET = (Item(2, "Harbour mug", 5600), Item(1, "Dune bowl", 3400))

ORDERS = (
    Order(1043, ("9 November", "2026-11-09"), "Fired", (Item(1, "Mistral vase", 6200),)),
    Order(
        1037, ("2 November", "2026-11-02"), "On its way", (Item(4, "Pebble plate", 10400), Item(1, "Gull jug", 4900))
    ),
    Order(1012, ("18 October", "2026-10-18"), "Arrived", (Item(2, "Lantern", 7800),)),
)


def find(order_id: int) -> Order | None:
    """The order of a number."""
    return next((order for order in ORDERS if order.id == order_id), None)


def total(items: tuple[Item, ...]) -> int:
    """What all items cost together, in euro cents."""
    return sum(item.cents for item in items)


def euros(cents: int) -> str:
    """An amount as it is shown."""
    return f"€ {cents // 100}.{cents % 100:02}"
