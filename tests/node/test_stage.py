"""A site inside one process."""

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.node.stage import Stage
from hydra_asgi.options import read_options
from hydra_asgi.testing import FakeUpstream

HERE = Address("http", "shop.test", 8000)


def test_every_node_is_a_gateway_there() -> None:
    """Whatever a node's role and key are, on the stage it forwards, and all nodes understand each other."""
    given = read_options({"service": "s", "gateways": "http://g:1", "address": "1", "key": "k", "version": 3}, {})
    options = Stage.options(given, HERE)
    assert (options.gateway, options.gateways, options.address) == (True, (), HERE)
    assert (options.service, options.version) == ("s", 3)
    other = Stage.options(read_options({}, {}), HERE)
    assert (options.key, options.secret) == (other.key, other.secret)


async def test_the_cast_is_asked_at_each_start() -> None:
    """A node lists who is on the stage when it starts, the oldest first."""
    cast = [ServiceInstance("b", HERE), ServiceInstance("a", HERE)]
    stage = Stage(FakeUpstream(), lambda: cast)
    first, second = MemoryStore(), MemoryStore()
    await stage.fill(first)
    cast.append(ServiceInstance("c", HERE))
    await stage.fill(second)
    assert [instance.service for instance in (await first.snapshot()).instances] == ["b", "a"]
    assert [instance.service for instance in (await second.snapshot()).instances] == ["b", "a", "c"]
