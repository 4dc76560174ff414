"""The base image: which of apt's sources, and a tar that depends on the files alone."""

import os
import tarfile
from pathlib import Path

import pytest

from build_model.engine import Engine
from build_model.image.base import BaseUnavailable, make_base, root_tar, trim
from build_model.image.debian import Source, sources
from build_model.report import silent


def test_the_mirror_is_that_of_the_hosts_apt() -> None:
    targets = (
        "https://mirror.example/security/ bookworm-security main\n"
        "https://mirror.example/debian/ bookworm main\n"
        "https://mirror.example/debian/ bookworm contrib\n"
        "https://packages.example/apt/ nodistro main\n"
        "https://packages.example/apt/ cloud-bookworm main\n"
        "file:/srv/debian/ bookworm-updates main\n"
    )
    assert sources(targets) == [
        Source("https://mirror.example/debian", "bookworm"),
        Source("https://mirror.example/security", "bookworm-security"),
    ]


@pytest.mark.parametrize(
    "targets", ["", "http://mirror.example/ubuntu/ noble main\n", "http://m.example/debian/ trixie main\n"]
)
def test_a_host_of_another_release_takes_debians_own_mirror(targets: str) -> None:
    assert [str(source) for source in sources(targets)] == ["deb http://deb.debian.org/debian bookworm main"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder with a little of everything that `trim` and `root_tar` look at."""
    root = tmp_path / "root"
    contents = {
        "etc/shadow": "root:*:20414:0:99999:7:::\n_apt:*:20414:0:99999:7:::\n",
        "etc/machine-id": "0123456789abcdef\n",
        "etc/hostname": "build-host\n",
        "etc/passwd-": "old\n",
        "dev/null": "a device\n",
        "usr/bin/perl": "#!\n",
        "usr/share/doc/bash/copyright": "GPL\n",
        "usr/share/doc/bash/changelog.gz": "gz\n",
        "usr/share/doc/bash/README": "read\n",
        "usr/share/man/man1/bash.1.gz": "gz\n",
        "usr/lib/python3.11/os.py": "pass\n",
        "usr/lib/python3.11/json/__pycache__/x.pyc": "pyc\n",
        "var/log/dpkg.log": "today\n",
        "var/cache/apt/pkgcache.bin": "cache\n",
    }
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "usr/bin/perl5").hardlink_to(root / "usr/bin/perl")
    (root / "bin").symlink_to("usr/bin")
    return root


def test_what_names_the_host_or_the_day_is_gone_and_licences_stay(root: Path) -> None:
    trim(root)
    with root_tar(root) as file, tarfile.open(fileobj=file) as tar:
        files = {member.name for member in tar if not member.isdir()}
    assert files == {
        "bin",
        "etc/machine-id",
        "etc/shadow",
        "usr/bin/perl",
        "usr/bin/perl5",
        "usr/lib/python3.11/os.py",
        "usr/share/doc/bash/copyright",
    }
    assert (root / "etc/machine-id").read_text() == ""
    assert (root / "etc/shadow").read_text() == "root:*::0:99999:7:::\n_apt:*::0:99999:7:::\n"


def test_the_tar_is_the_same_at_any_time(root: Path) -> None:
    with root_tar(root) as file:
        first = file.read()
    for path in root.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    with root_tar(root) as file:
        assert file.read() == first


def test_the_tar_keeps_links_as_links(root: Path) -> None:
    with root_tar(root) as file, tarfile.open(fileobj=file) as tar:
        assert tar.getmember("bin").linkname == "usr/bin"
        assert tar.getmember("usr/bin/perl5").linkname == "usr/bin/perl"


def test_without_root_the_refusal_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BaseUnavailable, match=r"apt-get install debootstrap.*--base-image REF"):
        make_base(Engine.__new__(Engine), silent())
