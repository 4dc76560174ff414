"""The audit log: who changed what runs, and what came of it."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.url import shown


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

    def record(self, what: str, secrets: Sequence[str] = (), **facts: Any) -> dict[str, Any]:
        """Append ``what`` with the time and who did it. Of ``secrets``, URLs of brokers, no password is left in it.

        What was appended.
        """
        self.check()
        line = {"at": now(), "who": who(), "what": what, **facts}
        text = json.dumps(line, ensure_ascii=False)
        for secret in secrets:
            text = text.replace(json.dumps(secret, ensure_ascii=False)[1:-1], shown(secret))
        with self.path.open("a", encoding="utf-8") as log:
            log.write(text + "\n")
        entry: dict[str, Any] = json.loads(text)
        return entry

    def read(self) -> list[dict[str, Any]]:
        """What was recorded, oldest first; a line that isn't JSON (a full disk cut it) is left out."""
        entries = []
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            with suppress(ValueError):
                entries.append(json.loads(line))
        return [entry for entry in entries if isinstance(entry, dict)]


def now() -> str:
    """The time, ISO 8601, to the millisecond: two promotions in a second keep their order."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def who() -> str:
    """``USER@HOST`` of this process."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def history_row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """An entry for a person: when, who, what, which version or container, and what came of it."""
    of = entry.get("image") or entry.get("container") or ""
    version = str(of).partition("@")[0].rpartition(":")[2]
    came = entry.get("outcome", f"exit code {entry['exit_code']}" if "exit_code" in entry else "")
    return (str(entry.get("at", ""))[:19], str(entry.get("who", "")), str(entry.get("what", "")), version, str(came))
