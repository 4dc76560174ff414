"""The image registry."""

import json
import os
import urllib.error
import urllib.request

from daemons import LocalError, say
from daemons.compose import compose_up
from daemons.packages import install
from daemons.process import free_port, wait
from daemons.started import Started


def registry_answers(registry: str) -> bool:
    """Whether HOST:PORT speaks the registry API. Like Docker, plain HTTP is for loopback only."""
    if not registry:
        return False
    loopback = registry.startswith(("127.", "localhost"))
    try:
        with urllib.request.urlopen(f"{'http' if loopback else 'https'}://{registry}/v2/", timeout=5) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        return error.code == 401  # it wants a login, so it is there
    except OSError:
        return False


def ensure_registry(started: Started) -> str:
    """HOST:PORT of the registry, after starting one when none answers."""
    if registry := os.environ.get("REGISTRY"):
        if not registry_answers(registry):
            raise LocalError(f"REGISTRY is {registry}, but no registry answers there: start it, or unset REGISTRY")
        return registry
    if started.registry and registry_answers(started.registry):
        return started.registry
    port = free_port(5000)
    started.registry = f"127.0.0.1:{port}"
    if not compose_up(started, "registry", {"REGISTRY_PORT": str(port)}):
        start_registry(started)
    started.write()
    return started.registry


def start_registry(started: Started) -> None:
    """Debian's docker-registry on loopback, with a configuration and a data folder of its own."""
    install(
        "registry",
        "set REGISTRY to one",
        {"docker-registry": "docker-registry", "debootstrap": "debootstrap"},
        started.log_path("apt"),
    )
    registry = started.registry or ""
    data = started.folder / "registry"
    data.mkdir(exist_ok=True)
    config = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        "http": {"addr": registry},
    }
    path = started.folder / "registry.yml"
    path.write_text(json.dumps(config, indent=2) + "\n")  # YAML reads JSON
    say(f"starting docker-registry on {registry}")
    process = started.spawn("docker-registry", ["docker-registry", "serve", str(path)])
    wait(process, lambda: registry_answers(registry))
