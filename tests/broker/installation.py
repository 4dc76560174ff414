"""The releases of RabbitMQ that are tested: Debian 12's, on this machine, and Debian 13's, in a root of its own.

Two releases can't be installed beside each other. Debian 13's lives in a folder that debootstrap fills from this
machine's Debian mirror, once for all clones of a user, and runs by chroot; its nodes use this machine's network.
"""

import fcntl
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = "/usr/lib/rabbitmq/bin"  # the wrappers in /usr/sbin insist on the machine's own broker and its user
PATH = f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin"
DEBIAN_13 = "trixie"
INSTALL_SECONDS = 900.0

# In a mount namespace of its own: what is mounted goes with the process, and nobody else sees it.
ENTER = """
root=$1 home=$2
shift 2
mount --bind "$home" "$root/mnt"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" "$@"
"""


class NodeUnavailable(Exception):
    """No private node can be started here; the message says what to do about it."""


@dataclass(frozen=True)
class Installation:
    """RabbitMQ's programs: in a root of their own, or where that is None, this machine's."""

    root: Path | None = None

    def seen(self, home: Path) -> Path:
        """Where these programs see the folder of a node."""
        return home if self.root is None else Path("/mnt")

    def command(self, home: Path, program: str, *arguments: str) -> list[str]:
        """A command line that runs a program, found by ``PATH``, for the node whose folder is ``home``."""
        if self.root is None:
            return [program, *arguments]
        return ["unshare", "--mount", "sh", "-ec", ENTER, "sh", str(self.root), str(home), program, *arguments]


def installation(release: str) -> Installation:
    """The installation of one of ``RELEASES``.

    Raises:
        NodeUnavailable: it isn't here and can't be had.
    """
    return Installation(RELEASES[release]())


def _of_this_machine() -> None:
    _install(f"{PROGRAMS}/rabbitmq-server", "rabbitmq-server")


def _of_debian_13() -> Path:
    return debian_13("rabbitmq", "rabbitmq-server")


def debian_13(name: str, *packages: str) -> Path:
    """A root of Debian 13 with packages, made once and called after ``name``; ``ENTER`` runs a program in it.

    Raises:
        NodeUnavailable: it isn't here and can't be had.
    """
    if os.geteuid() != 0:
        raise NodeUnavailable(f"{name} runs in a root of Debian's {DEBIAN_13}, which only root can enter")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dragoman"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"{name}-{DEBIAN_13}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _fill(root, packages)
    return root


def _fill(root: Path, packages: Sequence[str]) -> None:
    _install("debootstrap", "debootstrap")
    partial = root.with_suffix(".partial")
    if partial.exists():
        shutil.rmtree(partial)
    options = ["--variant=minbase", f"--include={','.join(packages)}"]
    # Its mounts go with it, however it ends.
    _run("unshare", "--mount", "debootstrap", *options, DEBIAN_13, str(partial), _mirror(), environment=_proxy())
    shutil.rmtree(partial / "var" / "cache" / "apt")
    partial.rename(root)


def _mirror() -> str:
    """The mirror that this machine's Debian packages come from."""
    ask = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")
    found = _run(*ask).split()
    if not found:  # nothing was asked for since the machine was set up
        _run("apt-get", "update")
        found = _run(*ask).split()
    if not found:
        raise NodeUnavailable("apt-get knows no mirror of Debian, from which Debian 13's packages would come")
    return found[0]


def _proxy() -> dict[str, str]:
    """apt's proxy, for who doesn't read apt's configuration."""
    found = shlex.split(_run("apt-config", "shell", "http_proxy", "Acquire::http::Proxy"))
    return dict(each.split("=", 1) for each in found)


def _install(program: str, package: str) -> None:
    """Installs a Debian package whose program is missing."""
    if shutil.which(program):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NodeUnavailable(f"{program} is missing: install Debian's package {package}")
    _run("apt-get", "update")
    _run("apt-get", "install", "--yes", "--no-install-recommends", package)


def _run(*command: str, environment: dict[str, str] | None = None) -> str:
    """What a command prints.

    Raises:
        NodeUnavailable: it fails.
    """
    given = os.environ | {"DEBIAN_FRONTEND": "noninteractive"} | (environment or {})
    try:
        ran = subprocess.run(command, capture_output=True, text=True, env=given, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NodeUnavailable(f"{_line(command)}: {error}") from None
    if ran.returncode != 0:
        raise NodeUnavailable(f"{_line(command)} failed: {(ran.stderr or ran.stdout).strip()[-500:]}")
    return ran.stdout


def _line(command: Sequence[str]) -> str:
    return f"`{shlex.join(command)}`"


RELEASES = {"RabbitMQ 3.10": _of_this_machine, "RabbitMQ 4.0": _of_debian_13}
"""Which there are, and where each comes from."""
