"""Why a program failed, out of what it printed: seldom its last line, which says what it did about it."""

import re

FATAL = re.compile(r"failed to start daemon|level=fatal|^panic: ")
ERROR = re.compile(
    r"^(error|failed|fatal|e: |dpkg: error|you've tried to set |configuration error|unable to|cannot|can't)"
    r"|\b(error|refused|denied|no such|not found|no space left|already (running|in use)|could not)\b"
    r"|level=error",
    re.IGNORECASE,
)
NOISE = re.compile(
    r"^(=+|BOOT FAILED|Error during startup: \{error,.*|Crash dump is being written.*|.*Kernel pid terminated.*"
    r"|(supervisor|errorContext|reason|offender|crasher|initial call|pid|registered_name|exception exit): .*"
    r"|See '.* --help'\.?|Usage:.*|Use \".* --help\".*|[\[\]{}(),]*)$"
)
STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:.+]+ (\[\w+\] <[\d.]+> )?")
LISTENER = re.compile(r'could_not_start_listener,"?([^",]+)"?,(\d+).*?(eaddrinuse|eaddrnotavail|eacces)', re.DOTALL)
REASONS = {
    "eaddrinuse": "another process listens there",
    "eaddrnotavail": "this machine has no such address",
    "eacces": "this user may not",
}
LENGTH = 400
"""Characters of a cause at most: the log has the rest."""


def cause(text: str) -> str:
    """The line of ``text`` that says why, with the points under it; its last one where no line does."""
    if found := LISTENER.search(text):
        host, port, reason = found.groups()
        return f"can't listen on {host}:{port}: {REASONS[reason]} ({reason})"
    stripped = (STAMP.sub("", line).strip() for line in text.splitlines())
    lines = [line for line in stripped if line and not NOISE.match(line)]
    fatal = [number for number, line in enumerate(lines) if FATAL.search(line)]
    errors = [number for number, line in enumerate(lines) if ERROR.search(line)]
    number = fatal[-1] if fatal else errors[0] if errors else len(lines) - 1
    if not lines:
        return "no output"
    points = []
    for line in lines[number + 1 :]:
        if not line.startswith("- "):
            break
        points.append(line.removeprefix("- "))
    return ": ".join([message(lines[number]).rstrip(":"), "; ".join(points)] if points else [message(lines[number])])[
        :LENGTH
    ]


def message(line: str) -> str:
    """What a line of Go's structured logs says, without time and level; other lines are as they are."""
    fields = dict(re.findall(r'\b(msg|error|err)="((?:[^"\\]|\\.)*)"', line))
    return ": ".join(fields[name].replace('\\"', '"') for name in ("msg", "error", "err") if name in fields) or line
