"""The base image: Debian slim with Python 3.11, pulled, or made from Debian's packages where none can be pulled."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from build_model.engine import Engine, EngineFailed, Image, ImageMissing
from build_model.image.debian import MIRROR, RELEASE, Source, host_sources, proxies
from build_model.report import Progress
from model.errors import DragomanError

DEFAULT = "python:3.11-slim-bookworm"
"""The official image, for every build that names no other."""
DEBIAN = "dragoman/base:bookworm"
"""What `make` calls the image made here."""

ARCHITECTURE = "amd64"
PACKAGES = ("python3", "ca-certificates")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

UNUSED = (
    # What Debian's own slim images leave out, too; licences stay (share/doc/*/copyright).
    "usr/share/man/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/groff/*",
    "usr/share/lintian/*",
    "usr/share/doc/*/[!c]*",
    "usr/share/doc/*/c[!o]*",
    # Python compiles to other files in the runtime stage, which don't ask for a source's time.
    "usr/lib/python3*/**/__pycache__",
    "usr/share/python3/**/__pycache__",
    # Caches, logs and what names this machine.
    "var/cache/*/*",
    "var/lib/apt/lists/*",
    "var/log/*",
    "etc/hostname",
    "etc/resolv.conf",
    # Copies that dpkg and adduser keep of what they changed.
    "var/lib/dpkg/*-old",
    "etc/*-",
)
LEFT_EMPTY = frozenset({"dev", "proc", "run", "sys", "tmp"})


class BaseUnavailable(DragomanError):
    """There is no base image, and none can be had."""


@dataclass(frozen=True)
class Base:
    """A base image that the engine has. ``digest`` names its content: its registry's digest, or one over its layers."""

    name: str
    image_id: str
    digest: str


def known_base(engine: Engine, reference: str | None) -> Base | None:
    """The base image ``reference``, by default ``DEFAULT`` or else ``DEBIAN``, if the engine has it."""
    for name in (reference,) if reference else (DEFAULT, DEBIAN):
        if image := engine.image(name):
            return _base(name, image)
    return None


def ensure_base(engine: Engine, reference: str | None, progress: Progress) -> Base:
    """The base image ``reference``, by default ``DEFAULT``: the engine's, or pulled.

    Where the default can't be pulled, the one from Debian's packages, made now if there is none yet. BaseUnavailable
    when that can't be done here; EngineFailed when a named ``reference`` can't be pulled.
    """
    name = reference or DEFAULT
    if image := engine.image(name):
        return _base(name, image)
    try:
        return _base(name, engine.pull(name, progress))
    except (EngineFailed, ImageMissing) as error:
        if reference:
            raise
        progress.line(f"{DEFAULT} can't be pulled ({error}); using {DEBIAN}, from Debian's packages.")
    return known_base(engine, DEBIAN) or make_base(engine, progress)


def make_base(engine: Engine, progress: Progress) -> Base:
    """Make ``DEBIAN`` with debootstrap from the mirror that this host's apt uses. Takes about a minute.

    Raises BaseUnavailable without root or debootstrap, and when the mirror can't be reached.
    """
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        raise BaseUnavailable(
            f"{DEBIAN} is made by root on Debian with debootstrap (`apt-get install debootstrap`). "
            "Do that, or name a base image that the engine has or can pull: --base-image REF."
        )
    with tempfile.TemporaryDirectory(prefix="dragoman-base-") as folder:
        root = Path(folder) / "root"
        with progress.transfers(f"Making {DEBIAN} from Debian's packages") as show:

            def report(line: str) -> None:
                show("debootstrap", line.removeprefix("I: "), 0, 0)

            _bootstrap(root, host_sources(), report)
        trim(root)
        with root_tar(root) as tar:
            changes = (f"ENV PATH={PATH}", 'CMD ["python3"]')
            engine.import_root(tar, DEBIAN, changes)
    base = known_base(engine, DEBIAN)
    if base is None:
        raise BaseUnavailable(f"The engine took {DEBIAN} and doesn't have it. Look into the engine's log.")
    return base


def _bootstrap(root: Path, found: list[Source], report: Callable[[str], None]) -> None:
    """Debian's minimal system with Python, then the updates of the other suites (security) on top."""
    debootstrap = ["debootstrap", "--variant=minbase", f"--arch={ARCHITECTURE}", f"--include={','.join(PACKAGES)}"]
    # A mount namespace of its own: the /proc that debootstrap mounts in there is gone with it, whatever happens.
    _run(["unshare", "--mount", *debootstrap, RELEASE, str(root), found[0].mirror], report)
    apt_sources = root / "etc/apt/sources.list"
    apt_sources.write_text("".join(f"{source}\n" for source in found))
    for arguments in (["update"], ["upgrade", "--yes", "--no-install-recommends"], ["clean"]):
        _run(["chroot", str(root), "apt-get", *arguments], report)
    apt_sources.write_text(f"{Source(MIRROR, RELEASE)}\n")


def _run(command: list[str], report: Callable[[str], None]) -> None:
    """Run ``command``, passing on each line it prints; BaseUnavailable with the last one when it fails."""
    line = ""
    environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **proxies(os.environ)}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        for output in process.stdout or ():
            line = output.strip() or line
            report(line)
    if process.returncode:
        raise BaseUnavailable(
            f"{DEBIAN} can't be made: `{' '.join(command)}` ended with {process.returncode}: {line}\n"
            "Check this machine's apt sources (`apt-get update`), or name another base image: --base-image REF."
        )


def trim(root: Path) -> None:
    """Remove what no container needs and what would make two images of the same packages differ."""
    for pattern in UNUSED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (root / "etc/machine-id").write_text("")
    shadow = root / "etc/shadow"
    # The third field is the day of the last change; empty switches ageing off.
    fields = (line.split(":") for line in shadow.read_text().splitlines())
    shadow.write_text("".join(":".join([*row[:2], "", *row[3:]]) + "\n" for row in fields))


@contextmanager
def root_tar(root: Path) -> Iterator[IO[bytes]]:
    """``root`` as a tar that depends on its files alone: sorted, times 0, owners as numbers."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in _walk(root):
                member = tar.gettarinfo(path, arcname=str(path.relative_to(root)))
                member.mtime, member.uname, member.gname = 0, "", ""
                if member.isreg():
                    with path.open("rb") as content:
                        tar.addfile(member, content)
                else:
                    tar.addfile(member)
        file.seek(0)
        yield file


def _walk(root: Path) -> Iterable[Path]:
    """All paths below ``root``, sorted, without what is in the folders that a container mounts over."""
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root).parts
        if relative[0] not in LEFT_EMPTY or len(relative) == 1:
            yield path


def _base(name: str, image: Image) -> Base:
    pulled = (digest for digest in image.digests if digest.partition("@")[0] == name.partition(":")[0])
    layers = hashlib.sha256("\n".join(image.layers).encode()).hexdigest()
    return Base(name, image.id, next((digest.partition("@")[2] for digest in pulled), f"sha256:{layers}"))
