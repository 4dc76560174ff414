"""Where this host's apt gets Debian from: whatever is made of Debian's packages here comes from there, too."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

RELEASE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
"""Debian's own, for a host whose apt names none for the release; also what a finished image's apt is left with."""


@dataclass(frozen=True)
class Source:
    """A line of apt's configuration: where ``suite`` (bookworm, bookworm-security ...) of Debian comes from."""

    mirror: str
    suite: str

    def __str__(self) -> str:
        return f"deb {self.mirror} {self.suite} main"


def sources(targets: str) -> list[Source]:
    """Debian's sources among apt's index targets, one `MIRROR SUITE COMPONENT` a line; `RELEASE` itself first."""
    rows = (line.split() for line in targets.splitlines())
    found = {
        Source(mirror.rstrip("/"), suite)
        for mirror, suite, component in rows
        if component == "main" and suite.split("-")[0] == RELEASE and mirror.startswith(("http:", "https:"))
    }
    if not any(source.suite == RELEASE for source in found):
        found = {Source(MIRROR, RELEASE)}
    return sorted(found, key=lambda source: (source.suite, source.mirror))


def host_sources() -> list[Source]:
    """As this host's apt is configured, in whatever form: apt is asked, not its files."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    return sources(targets.stdout)


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """What names a proxy: in the environment, or else in apt's configuration."""
    named = {
        name: value for name, value in environment.items() if name.lower() in ("http_proxy", "https_proxy", "no_proxy")
    }
    if named:
        return named
    apt = subprocess.run(
        ["apt-config", "--format", "%f=%v%n", "dump", "Acquire::http::Proxy"],
        capture_output=True,
        text=True,
        check=False,
    )
    proxy = apt.stdout.strip().rpartition("=")[2]
    return {"http_proxy": proxy, "https_proxy": proxy} if proxy else {}
