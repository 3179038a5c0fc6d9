"""Options of a node and its site file."""

from pathlib import Path

import pytest

from hydra_asgi import ConfigurationError
from hydra_asgi.site.site_file import SiteFile
from hydra_asgi.site.site_options import read_with_site


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "site.toml"
    file.write_text('[gateway]\nkey = "file"\ngrace = 3\nfragment_budget = 0.5\n')
    return str(file)


def test_who_wins(path: str) -> None:
    """An argument wins over the environment, the environment over the file, the file over the default."""
    environ = {"HYDRA_CONFIG": path, "HYDRA_KEY": "env", "HYDRA_GRACE": "4"}
    options, site = read_with_site({"key": "argument", "grace": None}, environ)
    assert (options.key, options.grace, options.fragment_budget) == ("argument", 4.0, 0.5)
    assert site.path == options.config == path


def test_the_argument_names_the_file(path: str) -> None:
    """The path too is an option like the others."""
    options, _ = read_with_site({"config": path}, {"HYDRA_CONFIG": "/nowhere"})
    assert (options.key, options.config) == ("file", path)


def test_no_file() -> None:
    """Without a file nothing is read."""
    options, site = read_with_site({}, {})
    assert (options.config, site) == ("", SiteFile())


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    """Options of the file are checked together with all others."""
    file = tmp_path / "site.toml"
    file.write_text('[gateway]\ngateways = ["http://a:1"]\n')
    with pytest.raises(ConfigurationError, match=r"service= .* is not"):
        read_with_site({"config": str(file)}, {})
