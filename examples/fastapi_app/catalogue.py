"""What the shop sells. A real one would ask a database."""

from dataclasses import dataclass

__all__ = ["PRODUCTS", "Product", "find"]


@dataclass(frozen=True, slots=True)
class Product:
    """One piece of stoneware.

    Attributes:
        id: its number in addresses.
        name: what it is called.
        cents: its price in euro cents.
        art: which drawing of `art.html` shows it.
        line: one line for the list.
        story: a paragraph for its own page.
        facts: short facts, label and value.
    """

    id: int
    name: str
    cents: int
    art: str
    line: str
    story: str
    facts: tuple[tuple[str, str], ...]

    @property
    def price(self) -> str:
        """The price as it is shown."""
        return f"€ {self.cents // 100}.{self.cents % 100:02}"


PRODUCTS = (
    Product(
        1,
        "Harbour mug",
        2800,
        "mug",
        "Keeps coffee warm through one whole ferry crossing.",
        "Thrown thick at the base and thin at the lip, with a handle wide enough for a gloved hand. The blue comes "
        "from cobalt, the freckles from the clay itself, so no two are alike.",
        (("Holds", "320 ml"), ("Height", "9 cm"), ("Glaze", "Cobalt, satin")),
    ),
    Product(
        2,
        "Dune bowl",
        3400,
        "bowl",
        "For soup, for apples, for keys. Mostly for soup.",
        "A low, generous bowl in the colour of wet sand. The ridge under the rim is where a thumb wants to be, "
        "and it keeps the soup where it belongs.",
        (("Holds", "700 ml"), ("Width", "19 cm"), ("Glaze", "Sand, matt")),
    ),
    Product(
        3,
        "Mistral vase",
        6200,
        "vase",
        "Three branches look like a decision in it.",
        "The shoulder is pulled up in one breath, the neck in the next. It stands heavy on its foot, because wind "
        "from the sea does not ask before it comes in.",
        (("Height", "27 cm"), ("Opening", "4 cm"), ("Glaze", "Sea green, running")),
    ),
    Product(
        4,
        "Gull jug",
        4900,
        "jug",
        "Pours without a drip, which took us four years.",
        "A beak you can trust. The body is left bare outside so that a wet hand has hold, and glazed white inside.",
        (("Holds", "1.1 l"), ("Height", "21 cm"), ("Glaze", "White inside, bare outside")),
    ),
    Product(
        5,
        "Pebble plate",
        2600,
        "plate",
        "Not quite round. Neither are pebbles.",
        "Pressed over a stone we carried home from the east beach. Stacks well, chips late, and goes into the "
        "dishwasher without a word.",
        (("Width", "24 cm"), ("Weight", "620 g"), ("Glaze", "Shingle grey, satin")),
    ),
    Product(
        6,
        "Lantern",
        3900,
        "lantern",
        "A small house for a small light.",
        "Windows cut by hand while the clay is leather-hard. One tea light inside, and the whole wall becomes a "
        "harbour front at night.",
        (("Height", "14 cm"), ("Light", "Tea light"), ("Glaze", "Iron red, matt")),
    ),
)


def find(product_id: str) -> Product | None:
    """The product of a number as it stands in an address."""
    return next((product for product in PRODUCTS if str(product.id) == product_id), None)
