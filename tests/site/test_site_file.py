"""The site file."""

from pathlib import Path

import pytest

from hydra_asgi import ConfigurationError
from hydra_asgi.site import site_file
from hydra_asgi.site.site_file import SiteFile, load_site, parse_site

WHOLE = """
[gateway]
key = "site"
trusted = ["10.0.0.0/8"]

[[instances]]
service = "legacy"
url = "http://10.0.0.9:8080"
routes = ["/legacy/{rest:path}"]
fragments = { checkout = "/frag/checkout" }

[[instances]]
service = "legacy"
url = "http://10.0.0.10:8080"
"""


def test_a_whole_file() -> None:
    """Options come with their place, instances in their order."""
    site = parse_site(WHOLE, "shop.toml")
    assert site.options == {
        "key": ("site", "shop.toml:3: key:"),
        "trusted": (["10.0.0.0/8"], "shop.toml:4: trusted:"),
    }
    assert [(one.service, one.url) for one in site.instances] == [
        ("legacy", "http://10.0.0.9:8080"),
        ("legacy", "http://10.0.0.10:8080"),
    ]
    assert site.instances[0].fragments == {"checkout": "/frag/checkout"}
    assert site.path == "shop.toml"


def test_an_empty_file() -> None:
    """A file may say nothing."""
    assert parse_site("") == SiteFile(path="site.toml")


def test_every_mistake_is_told() -> None:
    """All mistakes are told at once, in the order of the file, with line, key and the way out, and without secrets."""
    text = """[gateway]
kay = "x"
secret = "hunter2"
trusted = ["10.0.0.0/8", "everywhere"]
[[instances]]
service = "legacy"
url = "http://10.0.0.9:8080"
[[instances]]
url = "ftp://x"
wieght = 3
[[instances]]
service = "legacy"
url = "http://10.0.0.9:8080/"
[instnaces]
"""
    with pytest.raises(ConfigurationError) as caught:
        parse_site(text)
    lines = str(caught.value).splitlines()
    assert lines[0] == "site.toml:2: kay: there is no such option, is 'key' meant?"
    assert lines[1].startswith("site.toml:3: secret: has 7 characters, at least 16 are needed")
    assert lines[2].startswith("site.toml:4: trusted: is 'everywhere': expected networks")
    assert lines[3] == "site.toml:8: instances[2].service: it is missing: write service = 'legacy'"
    assert lines[4].startswith("site.toml:9: instances[2].url: is 'ftp://x': expected a URL")
    assert lines[5] == "site.toml:10: instances[2].wieght: there is no such key, is 'weight' meant?"
    assert lines[6] == "site.toml:13: instances[3].url: is the one of instance 1: leave one of them out"
    assert lines[7] == "site.toml:14: instnaces: there is no such table, is 'instances' meant?"
    assert len(lines) == 8
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[gateway]\nx = \n", "site.toml:2: is not TOML: invalid value in column 5"),
        ('a = "', "site.toml:1: is not TOML: unterminated string (at end of document)"),
        ("gateway = 1", "site.toml:1: gateway: is no table: write [gateway] with one option a line below it"),
        ("instances = 1", "site.toml:1: instances: is no list of tables: write [[instances]] with one key"),
        ("[instances]\nurl = 'x'", "site.toml:1: instances: is no list of tables"),
        ("key = 'x'", "site.toml:1: key: stands in no table: write it below [gateway]"),
        ('["gate\\nway"]', r"site.toml:1: 'gate\nway': there is no such table, is 'gateway' meant?"),
        (f"a = {'[' * 5000}{']' * 5000}", "site.toml: is nested too deeply, or has a number with too many digits"),
        (f"a = {'9' * 5000}", "site.toml: is nested too deeply, or has a number with too many digits"),
        ("[gateway]\nconfig = 'x'", "site.toml:2: config: there is no such option"),
    ],
)
def test_what_is_no_site_file(text: str, told: str) -> None:
    """Another form is refused with the line where it begins."""
    with pytest.raises(ConfigurationError) as caught:
        parse_site(text)
    assert told in str(caught.value)


def test_the_same_address_in_two_ways() -> None:
    """A default port, a slash at the end and capitals in a host name make no other instance."""
    text = '[[instances]]\nservice = "a"\nurl = "http://box"\n[[instances]]\nservice = "a"\nurl = "http://BOX:80/"\n'
    with pytest.raises(ConfigurationError, match=r"site\.toml:6: instances\[2\]\.url: is the one of instance 1"):
        parse_site(text)


def test_many_mistakes() -> None:
    """What is wrong everywhere is told some times, and then counted."""
    with pytest.raises(ConfigurationError) as caught:
        parse_site("[[instances]]\n" * 1000)
    lines = str(caught.value).splitlines()
    assert len(lines) == site_file.MAX_TOLD + 1
    assert lines[-1] == "site.toml: and 1,950 more; mend these first"


def test_a_byte_order_mark(tmp_path: Path) -> None:
    """Editors of Windows begin a file with one."""
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert load_site(str(path)).options["key"] == ("site", f"{path}:3: key:")


def test_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there, is too large or is not UTF-8 is refused by its name."""
    path = tmp_path / "site.toml"
    with pytest.raises(ConfigurationError, match=r"site\.toml: cannot be read: No such file"):
        load_site(str(path))
    path.write_bytes(b"# x\n# \xff\n")
    with pytest.raises(ConfigurationError, match=r"site\.toml:2: is not UTF-8: save it"):
        load_site(str(path))
    path.write_text(WHOLE)
    assert len(load_site(str(path)).instances) == 2
    monkeypatch.setattr(site_file, "MAX_BYTES", 10)
    with pytest.raises(ConfigurationError, match="has more than 10 bytes"):
        load_site(str(path))
