"""The lifespan of an app that has nothing to start."""

from typing import Any

from hydra_asgi.control.lifespan_answer import answer_lifespan


async def test_a_whole_life() -> None:
    """Start and end are answered, and then it is over."""
    sent: list[Any] = []
    messages: list[Any] = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]

    async def receive() -> Any:
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await answer_lifespan(receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
