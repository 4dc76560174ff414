"""The audit log: who changed what runs, and what came of it."""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Audit:
    """One JSON line per action that changes what runs, appended to ``path``. No secrets."""

    path: Path

    @classmethod
    def default(cls) -> Audit:
        """``dragoman/audit.jsonl`` in the user's state folder (XDG)."""
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return cls(Path(state) / "dragoman" / "audit.jsonl")

    def check(self) -> None:
        """Fails where ``record`` would, before anything is done that has to be recorded."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.open("a").close()

    def record(self, what: str, **facts: Any) -> None:
        """Append ``what`` with the time and who did it."""
        self.check()
        line = {"at": now(), "who": who(), "what": what, **facts}
        with self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line, ensure_ascii=False) + "\n")


def now() -> str:
    """The time, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def who() -> str:
    """``USER@HOST`` of this process."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
