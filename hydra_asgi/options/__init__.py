"""The options of a node: from arguments, the environment and a site file, read here and nowhere else.

Every option can be given as a keyword argument of `Hydra`, as `HYDRA_<NAME>`, or under `[gateway]` in the site file.
The first of these wins, so that the environment fills in what the code leaves open, and the file what both do. Unknown
`HYDRA_*` variables are ignored, and those that Kubernetes injects for a Service called "hydra" are never read:
HYDRA_PORT*, HYDRA_SERVICE_HOST, HYDRA_SERVICE_PORT*.

A wrong value stops start-up with a message that names where it came from, the value and the way out.
"""

from hydra_asgi.options.mistakes import read_text
from hydra_asgi.options.readers import Network, read_option
from hydra_asgi.options.reading import Given, read_options
from hydra_asgi.options.urls import MEMORY, read_url
from hydra_asgi.options.values import OPTION_NAMES, Options

__all__ = [
    "MEMORY",
    "OPTION_NAMES",
    "Given",
    "Network",
    "Options",
    "read_option",
    "read_options",
    "read_text",
    "read_url",
]
