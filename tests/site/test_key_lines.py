"""Where a key stands in a TOML file."""

import pytest

from hydra_asgi.site.key_lines import KeyPath, key_lines, line_of

TEXT = """\
title = "x"
[gateway]   # options
key = "a"
  trusted = [
    "10.0.0.0/8",
]
"quoted key" = 1
tls.cert = "x"

[[instances]]
url = "http://a:1"
fragments = { checkout = "/x" }
[[instances]]
url = "http://b:1"
[instances.fragments]
'single' = "/x"
url = "/y"
[gateway]
key = "twice"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 1),
        (("gateway",), 2),
        (("gateway", "key"), 3),
        (("gateway", "trusted"), 4),
        (("gateway", "quoted key"), 7),
        (("gateway", "tls"), 8),
        (("gateway", "tls", "cert"), 8),
        (("instances", 0), 10),
        (("instances", 0, "url"), 11),
        (("instances", 0, "fragments", "checkout"), 12),
        (("instances", 1, "url"), 14),
        (("instances", 1, "fragments"), 15),
        (("instances", 1, "fragments", "single"), 16),
        (("instances", 1, "fragments", "url"), 17),
        (("instances", 1, "service"), 13),
        (("nowhere",), 1),
        ((), 1),
    ],
)
def test_lines(path: KeyPath, line: int) -> None:
    """A key is found in its table, the first one where it stands twice; what is not found is where its table is."""
    assert line_of(path, key_lines(TEXT)) == line


def test_nothing() -> None:
    """An empty file has no lines."""
    assert not key_lines("")
