"""Where the file of a URL lies, and where none may lie."""

from pathlib import Path

import pytest

from hydra_asgi.backends.sqlite_store.location import check_place, file_system_of, locate, read_sqlite_url
from hydra_asgi.errors import ConfigurationError, StoreError


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///site.db", "site.db"),
        ("sqlite:///var/lib/site.db", "var/lib/site.db"),
        ("sqlite:////var/lib/site.db", "/var/lib/site.db"),
        ("sqlite:////var/my%20site.db", "/var/my site.db"),
    ],
)
def test_a_url_names_a_file(url: str, path: str) -> None:
    """Three slashes are followed by a path from the working directory, four by one from the root."""
    assert read_sqlite_url(url) == path


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:////", "names no file"),
        ("sqlite:///:memory:", "or memory:// for a directory of one process"),
        ("sqlite:site.db", "has no slashes"),
        ("sqlite:/site.db", "has no slashes"),
        ("sqlite://site.db", "has 'site.db' before the path"),
        ("sqlite://user:pass@host/site.db", "before the path"),
        ("sqlite:///site.db?mode=ro", "no options are known"),
        ("sqlite:///site.db#x", "no options are known"),
        ("sqlite:///sites/", "ends in a folder"),
        ("sqlite:///a%00b", "has characters that no file should have"),
        ("sqlite:///a\nb", "has characters that no file should have"),
        ("sqlite://[/site.db", "is not a URL"),
    ],
)
def test_a_url_that_names_none(url: str, reason: str) -> None:
    """The error says what is wrong and how a URL looks."""
    with pytest.raises(ConfigurationError) as error:
        read_sqlite_url(url)
    assert reason in str(error.value)
    assert "expected sqlite:///site.db" in str(error.value)


def test_a_path_is_looked_for_in_the_working_directory_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sqlite:///a/b/site.db` is in the working directory where `a/b` is there, else it is `/a/b/site.db`."""
    (tmp_path / "sites").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("site.db") == tmp_path / "site.db"
    assert locate("sites/site.db") == tmp_path / "sites" / "site.db"
    assert locate(str(tmp_path).removeprefix("/") + "/site.db") == tmp_path / "site.db"
    assert locate(str(tmp_path / "sites" / "site.db")) == tmp_path / "sites" / "site.db"


def test_a_folder_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both places that were looked at are named."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError) as error:
        locate("missing-folder/site.db")
    assert f"({tmp_path}/missing-folder or /missing-folder)" in str(error.value)
    with pytest.raises(StoreError, match=r"does not exist \(/missing-folder\): make it"):
        locate("/missing-folder/site.db")


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises(StoreError, match="is a folder: name a file in it"):
        locate(str(tmp_path))


MOUNTS = """\
22 28 0:21 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:22 / /srv rw,relatime shared:2 - tmpfs tmpfs rw
24 22 0:23 / /srv/my\\040site rw,relatime - nfs4 server:/x rw
25 22 0:24 / /srv/local rw - nfs4 server:/y rw
26 22 0:25 / /srv/local rw - xfs /dev/vdb rw
nonsense
27 22 - incomplete
"""


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/site.db", "ext4"),
        ("/srv/site.db", "tmpfs"),
        ("/srvother/site.db", "ext4"),
        ("/srv/my site/deep/site.db", "nfs4"),
        ("/srv/local/site.db", "xfs"),
    ],
)
def test_the_file_system_of_a_file(tmp_path: Path, file: str, kind: str) -> None:
    """The deepest mount point decides, by whole segments; of two at one place the later one."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system_of(Path(file), mounts) == kind


def test_where_the_system_does_not_tell(tmp_path: Path) -> None:
    """Then nothing is known of file systems, and nothing is refused."""
    assert file_system_of(Path("/site.db"), tmp_path / "nothing") == ""


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its locks do not hold between machines, and the error says what to use instead."""
    check_place(tmp_path / "site.db")
    monkeypatch.setattr("hydra_asgi.backends.sqlite_store.location.file_system_of", lambda file: "nfs4")
    with pytest.raises(StoreError, match=r"network file system \(nfs4\).*use a local disk, or redis://"):
        check_place(tmp_path / "site.db")
