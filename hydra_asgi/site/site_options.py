"""The options of a node together with what its site file says."""

from collections.abc import Mapping

from hydra_asgi.options import Options, read_options
from hydra_asgi.site.site_file import SiteFile, load_site

__all__ = ["read_with_site"]


def read_with_site(arguments: Mapping[str, object], environ: Mapping[str, str]) -> tuple[Options, SiteFile]:
    """Read the options, and the site file that `config` or `HYDRA_CONFIG` names.

    Args:
        arguments: by option name; None means "not given".
        environ: by `HYDRA_<NAME>`.

    Raises:
        ConfigurationError: an option is wrong, or something in the file is; then everything in it is named.
    """
    path = str(arguments.get("config") or environ.get("HYDRA_CONFIG", ""))
    site = load_site(path) if path else SiteFile()
    return read_options(arguments, environ, site.options), site
