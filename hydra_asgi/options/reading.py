"""Options from arguments, the environment and a site file, in this order of precedence."""

from collections.abc import Mapping
from dataclasses import fields, replace

from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options.readers import read_option
from hydra_asgi.options.values import Options

__all__ = ["Given", "read_options"]

Given = tuple[object, str]
"""A value, and where it was given, for messages."""


def read_options(
    arguments: Mapping[str, object], environ: Mapping[str, str], file: Mapping[str, Given] | None = None
) -> Options:
    """Options from keyword arguments (None means "not given"), the environment and a site file.

    Args:
        arguments: by option name.
        environ: by `HYDRA_<NAME>`.
        file: by option name.

    Raises:
        ConfigurationError: a value is wrong, or two options do not fit together.
    """
    given: dict[str, object] = {}
    for option in fields(Options):
        value, origin = arguments.get(option.name), f"{option.name}="
        if value is None and (variable := f"HYDRA_{option.name.upper()}") in environ:
            value, origin = environ[variable], variable
        if value is None and file is not None and option.name in file:
            value, origin = file[option.name]
        if value is not None:
            given[option.name] = read_option(option.name, value, origin)
    if "gateway" not in given:
        given["gateway"] = not given.get("gateways")
    options = Options(**given)  # type: ignore[arg-type]  # each reader returns its field's type
    if options.enabled:
        _check_together(options)
    return _on_this_host(options)


def _on_this_host(options: Options) -> Options:
    """A port is enough of an address where the store is a file: all who read it are on one host."""
    address = options.address
    if address is None or address.host or not options.store.startswith("sqlite:") or not options.gateway:
        return options
    return replace(options, address=replace(address, host="127.0.0.1"))


def _check_together(options: Options) -> None:
    if options.gateways and not options.service:
        raise ConfigurationError("gateways= is given but service= (HYDRA_SERVICE) is not: name the service to register")
    if options.gateways and not options.key:
        raise ConfigurationError("gateways= is given but key= (HYDRA_KEY) is not: set it to the key of the site")
    if options.gateways and options.address is None:
        raise ConfigurationError(
            "gateways= is given but address= (HYDRA_ADDRESS) is not: set it to the URL at which the gateway reaches "
            "this app, such as http://10.0.0.7:8002, or to its port"
        )
    if not options.gateway and not options.gateways:
        raise ConfigurationError("gateway=False without gateways= (HYDRA_GATEWAYS): name a gateway, or be one")
    if options.service and options.is_shared and options.gateway:
        _check_mesh(options)


def _check_mesh(options: Options) -> None:
    """A node that registers itself in a shared store has nobody who takes its IP address from the call."""
    expected = "set it to the URL at which other nodes reach this app, such as http://10.0.0.7:8002"
    if options.address is None:
        raise ConfigurationError(
            f"service= and a shared store= are given but address= (HYDRA_ADDRESS) is not: {expected}"
        )
    if not options.address.host and not options.store.startswith("sqlite:"):
        raise ConfigurationError(f"address= (HYDRA_ADDRESS) is the port {options.address.port} alone: {expected}")
