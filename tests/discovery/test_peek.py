from hydra_asgi.discovery.peek import class_names, peek


class Hostile:
    @property
    def app(self) -> object:
        raise RuntimeError("working outside of a context")


def test_missing() -> None:
    """An attribute that is not there reads as None."""
    assert peek(object(), "app") is None


def test_raising() -> None:
    """An attribute that raises reads as None, so that one odd wrapper cannot stop start-up."""
    assert peek(Hostile(), "app") is None


def test_class_names() -> None:
    """A class is known by its own name and by those of its bases."""
    assert class_names(Hostile()) == {"Hostile", "object"}
