"""How pip and apt of this host reach their packages, so that a bare machine reaches them the same way: mirrors, local
folders, certificates, proxies, logins."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
SYSTEM_CERTIFICATES = Path("/etc/ssl")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
LOOPBACK = ("localhost", "127.", "::1", "0.0.0.0")
PORTS = {"http": 80, "https": 443}
LOGINS = (".netrc", ".npmrc")
"""Files of the user's home that package managers read."""


@dataclass(frozen=True)
class Pip:
    """pip's configuration: ``options`` by section and name as its files have them, ``environment`` its variables."""

    options: Mapping[tuple[str, str], str]
    environment: Mapping[str, str]

    def ini(self) -> str:
        """The options as one configuration file; one value stands beside its name: a path has no line break."""
        lines: list[str] = []
        for section in sorted({section for section, _ in self.options}):
            lines.append(f"[{section}]")
            for (each, name), value in self.options.items():
                if each == section:
                    several = value.split("\n")
                    lines.append(f"{name} = {value}" if len(several) == 1 else "\n    ".join((f"{name} =", *several)))
        return "\n".join(lines) + "\n"

    def values(self) -> Iterable[str]:
        """All that may name a place, one word each."""
        for value in (*self.options.values(), *self.environment.values()):
            yield from value.split()


def parse_pip(listed: str, environment: Mapping[str, str]) -> Pip:
    """``listed`` is what `pip config list` prints: `SECTION.NAME='VALUE'` a line, `:env:` for variables."""
    options = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if value and section != ":env:":
            options[section, name] = str(ast.literal_eval(value))
    own = {name: value for name, value in environment.items() if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"}
    return Pip(options, own)


def host_pip(environment: Mapping[str, str]) -> Pip:
    """This host's, whichever of its files and variables it stands in."""
    candidates = (sys.executable, str(Path(__file__).parents[2] / ".venv/bin/python"), "pip", "pip3")
    for program in candidates:
        command = [program, "config", "list"] if program.startswith("pip") else [program, "-m", "pip", "config", "list"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        if ran.returncode == 0:
            return parse_pip(ran.stdout, environment)
    return parse_pip("", environment)


def local_paths(values: Iterable[str]) -> list[Path]:
    """Files and folders of this host that ``values`` name, as paths or as file: URLs.

    An index's links lead to the folder beside it, so that a folder named by URL stands for the one that it is in,
    except for one at the top of the file system.
    """
    found = set()
    for value in values:
        by_url = value.startswith("file:")
        path = Path(unquote(urlsplit(value).path) if by_url else value)
        if not path.is_absolute() or not path.exists():
            continue
        if by_url and path.is_dir() and len(path.parent.parts) > 2:
            path = path.parent
        found.add(path)
    return sorted(path for path in found if not any(other in path.parents for other in found))


def loopback_ports(values: Iterable[str]) -> list[int]:
    """Ports of this host's own loopback that ``values`` name in URLs: a mirror or a proxy that runs here."""
    ports = set()
    for value in values:
        for url in re.findall(r"\b[a-z][a-z0-9+.-]*://[^\s\"';,]+", value):
            parts = urlsplit(url)
            host = parts.hostname or ""
            port = parts.port or PORTS.get(parts.scheme)
            if port and host.startswith(LOOPBACK):
                ports.add(port)
    return sorted(ports)


def apt_settings() -> str:
    """What this host's apt is told about transport (proxies, certificates, time-outs), as one configuration file."""
    dumped = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False).stdout
    lines = [line for line in dumped.splitlines() if not line.startswith("Acquire::IndexTargets")]
    return "".join(f"{line}\n" for line in lines if not line.endswith(' "";'))


def quoted(settings: str) -> list[str]:
    """The values of apt's settings, one word each."""
    return [word for value in re.findall(r'"([^"]*)"', settings) for word in value.split()]


def carried(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that package managers heed."""
    names = [name for name in environment if name.lower() in PROXIES or name in CERTIFICATES]
    if environment.get("SSL_CERT_DIR", "").startswith(f"{SYSTEM_CERTIFICATES}/"):
        names.remove("SSL_CERT_DIR")  # the bundle beside it is copied, and the folder is the packages' to fill
    npm = [name for name in environment if name.lower().startswith("npm_config_registry")]
    return {name: environment[name] for name in (*names, *npm)}


def nameservers() -> str:
    """resolv.conf as another network namespace can use it: systemd's stub is on loopback, what it asks is not."""
    stub, real = Path("/etc/resolv.conf").read_text(), Path("/run/systemd/resolve/resolv.conf")
    return real.read_text() if "nameserver 127." in stub and real.exists() else stub


def logins() -> list[Path]:
    """Files with logins that are there."""
    return [path for name in LOGINS if (path := Path.home() / name).is_file()]
