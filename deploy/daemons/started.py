"""What `deploy/local up` started and `down` has to stop: kept in a state folder, beside logs and data."""

import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from daemons.process import Process, start_ticks


@dataclass(frozen=True)
class Broker:
    """AMQP URLs of one broker: as this machine sees it, and as a container does."""

    url: str
    container_url: str


@dataclass
class Started:
    """What `up` started and `down` has to stop; kept in `folder`/started.json, with logs and data beside it."""

    folder: Path
    processes: list[Process]
    compose: list[str]
    registry: str | None = None
    broker: Broker | None = None

    @classmethod
    def read(cls, folder: Path) -> "Started":
        path = folder / "started.json"
        if not path.exists():
            return cls(folder, processes=[], compose=[])
        fields = json.loads(path.read_text())
        fields["processes"] = [process for row in fields["processes"] if (process := Process(**row)).session()]
        fields["broker"] = Broker(**fields["broker"]) if fields["broker"] else None
        return cls(folder, **fields)

    def write(self) -> None:
        fields = {name: value for name, value in asdict(self).items() if name != "folder"}
        path = self.folder / "started.json"
        path.touch(mode=0o600)  # it holds the broker's password
        path.write_text(json.dumps(fields, indent=2) + "\n")

    def log_path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def spawn(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> Process:
        """Starts a daemon in a session of its own, its output in NAME.log, and records it at once."""
        path = self.log_path(name)
        with path.open("wb") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | (environment or {}),
                start_new_session=True,
            )
        process = Process(name, child.pid, start_ticks(child.pid) or 0, str(path))
        self.processes.append(process)
        self.write()
        return process
