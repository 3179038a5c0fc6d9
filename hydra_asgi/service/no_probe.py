"""The prober of an app that nobody asks over the network: it is always there."""

__all__ = ["NoProbe"]


class NoProbe:
    """Implements `ports.Prober` without a network."""

    async def resolve(self, host: str) -> tuple[str, ...]:
        return (host,)

    async def why_unreachable(self, host: str, port: int) -> str | None:
        return None
