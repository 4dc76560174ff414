"""The root file system of a bare machine: Debian's minimal system, what the README says is needed, and a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build_model.image.debian import RELEASE, host_sources, proxies

from . import host

BEFOREHAND = ("git", "make", "python3-venv")
"""What the README asks for."""
CLONE = "/home/dragoman"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MachineUnavailable(Exception):
    """No bare machine can be made here."""


@dataclass(frozen=True)
class Machine:
    """A root file system, this host's paths that are mounted into it, and loopback ports that lead to this host's."""

    root: Path
    binds: tuple[Path, ...]
    ports: tuple[int, ...]
    environment: Mapping[str, str]


def make(root: Path, repository: Path, commit: str) -> Machine:
    """A machine at ``root``, an empty folder, with a clone of ``commit`` in it and nothing that was ever started.

    Raises:
        MachineUnavailable: with the last line of what failed.
    """
    sources = host_sources()
    debootstrap = ["debootstrap", "--variant=minbase", f"--include={','.join(BEFOREHAND)}"]
    environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", **proxies(os.environ)}
    _run(["unshare", "--mount", *debootstrap, RELEASE, str(root), sources[0].mirror], environment)
    (root / "etc/apt/sources.list").write_text("".join(f"{source}\n" for source in sources))
    pip = host.host_pip(os.environ)
    apt = host.apt_settings()
    carried = host.carried(os.environ)
    _write(root / "etc/pip.conf", pip.ini())
    _write(root / "etc/apt/apt.conf.d/99host", apt)
    _copy_logins(root)
    shutil.copyfile("/etc/hosts", root / "etc/hosts")
    (root / "etc/resolv.conf").write_text(host.nameservers())
    (root / "etc/hostname").write_text("bare\n")
    _clone(repository, commit, root / CLONE.lstrip("/"))
    named = [*pip.values(), *host.quoted(apt), *(carried[name] for name in host.CERTIFICATES if name in carried)]
    paths = host.local_paths(named)
    _copy_certificates(root, paths)
    binds = [path for path in paths if not (root / str(path).lstrip("/")).exists()]
    ports = host.loopback_ports([*named, *carried.values(), *map(str, sources)])
    return Machine(root, tuple(binds), tuple(ports), {**carried, **pip.environment})


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=dict(environment), check=False,
    )  # fmt: skip
    if ran.returncode:
        last = (ran.stdout.strip().splitlines() or ["no output"])[-1]
        raise MachineUnavailable(f"`{' '.join(command)}` ended with {ran.returncode}: {last}")


def _write(path: Path, text: str) -> None:
    """For root alone: a mirror's URL may hold a password."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def _copy_logins(root: Path) -> None:
    for path in host.logins():
        _write(root / "root" / path.name, path.read_text())
    for name in ("auth.conf", "auth.conf.d", "trusted.gpg.d"):
        path = Path("/etc/apt", name)
        if path.is_dir():
            shutil.copytree(path, root / "etc/apt" / name, dirs_exist_ok=True)
        elif path.exists():
            shutil.copy(path, root / "etc/apt" / name)


def _copy_certificates(root: Path, paths: list[Path]) -> None:
    """Bundles in the system's own place are copied: a package that is installed there later writes over them.

    Certificates that an administrator added here are there for that package to take in.
    """
    for path in paths:
        if host.SYSTEM_CERTIFICATES in path.parents and path.is_file():
            target = root / str(path).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    added = Path("/usr/local/share/ca-certificates")
    if added.is_dir():
        shutil.copytree(added, root / str(added).lstrip("/"), dirs_exist_ok=True)


def _clone(repository: Path, commit: str, folder: Path) -> None:
    environment = {"PATH": PATH, "HOME": "/root", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
                   "GIT_CONFIG_VALUE_0": "*"}  # fmt: skip
    _run(["git", "clone", "--quiet", "--no-hardlinks", "--no-checkout", str(repository), str(folder)], environment)
    _run(["git", "-C", str(folder), "checkout", "--quiet", "--detach", commit], environment)
