"""Services of deploy/compose.yaml, where images can be pulled."""

import hashlib
from pathlib import Path

from daemons import LocalError, say
from daemons.cause import cause
from daemons.process import START_SECONDS, run
from daemons.started import Started

FILE = Path(__file__).resolve().parent.parent / "compose.yaml"
# A project of its own for each clone: of two that share an engine, one would take the other's containers for its own.
PROJECT = f"dragoman-{hashlib.sha256(str(FILE).encode()).hexdigest()[:6]}"
COMPOSE = ["docker", "compose", "--project-name", PROJECT, "--file", str(FILE)]
PULL_SECONDS = 600.0


def compose_up(started: Started, service: str, environment: dict[str, str]) -> str | None:
    """Starts a service of deploy/compose.yaml. Its container ID, or None where that can't be (no plugin, no image)."""
    if run(["docker", "compose", "version"], seconds=20).returncode != 0:
        return None
    pulled = run([*COMPOSE, "pull", "--quiet", service], PULL_SECONDS, environment)
    with started.log_path("compose").open("a") as log:
        log.write(pulled.stderr)
    if pulled.returncode != 0:
        return None
    say(f"starting {service} from deploy/compose.yaml")
    started.compose.append(service)
    started.write()
    result = run([*COMPOSE, "up", "--detach", "--wait", service], START_SECONDS, environment)
    if result.returncode != 0:
        raise LocalError(f"`docker compose up {service}` failed: {cause(result.stderr)}")
    return run([*COMPOSE, "ps", "--quiet", service], seconds=30).stdout.strip()


def compose_down(started: Started) -> None:
    """Removes what `compose_up` made, its network and volumes too, whether it came up or not."""
    if not started.compose:
        return
    result = run([*COMPOSE, "down", "--volumes", "--remove-orphans"], START_SECONDS)
    if result.returncode != 0:
        raise LocalError(f"`docker compose down` failed: {cause(result.stderr)}")
    started.compose.clear()
    started.write()
