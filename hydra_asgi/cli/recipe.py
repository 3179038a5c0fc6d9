"""How a process makes the node of a gateway, in a form that can be handed to another process."""

from dataclasses import dataclass

from hydra_asgi.hydra import Hydra

__all__ = ["Recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How each worker makes its node: it is a process of its own, so it cannot be handed one.

    Attributes:
        config: the path of the site file, None for what the environment says.
        store: the URL of the store, None for what the environment or the site file says.
        public_control: see `Hydra`.
        grace: see `Hydra`.
    """

    config: str | None
    store: str | None
    public_control: bool | None
    grace: float | None

    def make(self) -> Hydra:
        """The node.

        Raises:
            ConfigurationError: an option is wrong.
        """
        return Hydra(
            gateway=True,
            config=self.config,
            store=self.store,
            public_control=self.public_control,
            grace=self.grace,
        )
