"""Services of deploy/compose.yaml, where images can be pulled."""

from pathlib import Path

from daemons import LocalError, say
from daemons.process import START_SECONDS, last_line, run
from daemons.started import Started

FILE = Path(__file__).resolve().parent.parent / "compose.yaml"
COMPOSE = ["docker", "compose", "--project-name", "dragoman", "--file", str(FILE)]
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
        raise LocalError(f"`docker compose up {service}` failed: {last_line(result.stderr)}")
    return run([*COMPOSE, "ps", "--quiet", service], seconds=30).stdout.strip()
