"""`make bare`: see the package."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from . import machine, network

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".local" / "bare"
NAMESPACE = "drg-bare"
ENTER = Path(__file__).with_name("enter.sh")
DEMO = "exec sh tests/bare/demo.sh"  # so that it and process 1 are all that runs
PROGRAMS = {
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "git": "git",
    "unshare": "util-linux",
    "pivot_root": "util-linux",
}


def say(line: str) -> None:
    print(f"bare: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.0f} s")


def refusal() -> str | None:
    """Why no bare machine can be made here, with what to do; None when one can."""
    if os.geteuid() != 0:
        return "namespaces, mounts and debootstrap need root: run it as root"
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    return f"what makes a bare machine is missing: apt-get install {' '.join(missing)}" if missing else None


def remove(root: Path) -> None:
    """What was mounted there is gone with its namespace; should anything be left, it is not followed."""
    subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=True)


def enter(made: machine.Machine, command: str) -> int:
    """Runs a shell command in the clone, as the first process of that machine; its exit status."""
    environment = {"PATH": machine.PATH, "HOME": "/root", **made.environment}
    environment["BINDS"] = "\n".join(map(str, made.binds))
    spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--propagation", "private"]
    inside = ["sh", str(ENTER), str(made.root), machine.CLONE, "sh", "-c", command]
    with subprocess.Popen(["ip", "netns", "exec", NAMESPACE, *spaces, *inside], env=environment) as entered:
        try:
            return entered.wait()
        except BaseException:
            entered.send_signal(signal.SIGKILL)  # with it goes all that runs in there
            raise


def run(command: str, keep: bool) -> int:
    """Makes a machine, runs ``command`` in it, removes it; the command's exit status."""
    commit = network.run("git", "-C", str(ROOT), "rev-parse", "HEAD").strip()
    if network.run("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no").strip():
        say(f"what is not committed is not in the clone, which is {commit[:12]}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    root = FOLDER / "root"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove(root)
        try:
            with timed("a bare machine was made in"):
                made = machine.make(root, ROOT, commit)
            with network.namespace(NAMESPACE), network.relays(NAMESPACE, made.ports), timed(f"`{command}` took"):
                return enter(made, command)
        finally:
            if not keep:
                remove(root)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bare", description=__doc__)
    parser.add_argument("--run", default=DEMO, metavar="COMMAND", help=f"instead of `{DEMO}`")
    parser.add_argument("--keep", action="store_true", help=f"leave the machine's files in {FOLDER.relative_to(ROOT)}")
    arguments = parser.parse_args()
    if why := refusal():
        say(why)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    try:
        status = run(arguments.run, arguments.keep)
    except (machine.MachineUnavailable, network.NetworkUnavailable, OSError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"{'works' if status == 0 else f'ended with {status}'} after {time.monotonic() - began:.0f} s in all")
    return status


if __name__ == "__main__":
    sys.exit(main())
