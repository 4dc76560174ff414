"""What is wrong with the image itself, and with the machine that it runs on."""

import json
import socket
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from black_box.test_guard import CHECKPOINT, change_golden, flip_bit, truncate_lang
from images import ROOT, Derive, Version, missing

from build_model.engine import Engine
from daemons import LocalError
from daemons.packages import install

from .client import Client
from .conftest import Start
from .rows import case, fault
from .texts import SENTENCE, sentences


def change_architecture_hash(root: Path) -> tuple[Path, bytes]:
    """The architecture hash of another code."""
    manifest = json.loads((root / CHECKPOINT / "manifest.json").read_text("utf-8"))
    manifest["architecture"] = manifest["architecture"][::-1]
    return CHECKPOINT / "manifest.json", json.dumps(manifest).encode()


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        case("flipped bit in weights", flip_bit),
        case("wrong architecture hash", change_architecture_hash),
        case("truncated lang", truncate_lang),
        case("wrong golden", change_golden),
    ],
)
def test_a_damaged_image_ends_with_78_and_connects_to_nobody(
    derive: Derive, start: Start, client: Client, released: Version, change: Callable[[Path], tuple[Path, bytes]]
) -> None:
    client.declare()
    client.send(SENTENCE)
    client.wait_confirmed()
    path, content = change(ROOT)
    image = derive(released.reference, {f"opt/dragoman/{path}": content})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        replica = start(image, AMQP_URL=f"amqp://guest:guest@127.0.0.1:{listener.getsockname()[1]}/")
        assert replica.ended() == 78
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert client.depth() == 1


@fault("read-only file system, non-root")
def test_it_runs_hardened(start: Start, client: Client, engine: Engine) -> None:
    replica = start().ready()
    host = engine.client.containers.get(replica.container).attrs["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert replica.execute("python3", "-c", "import os; assert os.getuid()") == 0
    assert replica.execute("python3", "-c", "open('/opt/dragoman/new', 'w')") != 0
    assert replica.execute("python3", "-c", "open('/var/new', 'w')") != 0
    for text in sentences(50):
        client.send(text)
    client.wait_answered()


@pytest.fixture
def clock(tmp_path: Path) -> bytes:
    """Debian's libfaketime, which stands between a process and the system's clocks."""
    try:
        install("clock that jumps", "install libfaketime", {"faketime": "faketime"}, tmp_path / "apt.log")
    except LocalError as error:
        missing(error)
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return library.read_bytes()


@fault("clock jump")
@pytest.mark.long
def test_a_wall_clock_that_jumps_a_day_changes_nothing(
    derive: Derive, start: Start, client: Client, released: Version, clock: bytes, record_property: Any
) -> None:
    """Every wall clock of the process jumps (CLOCK_REALTIME, by way of the C library); its monotonic clock stays the
    machine's. Kernel timers know nothing of it: what waits in epoll or on a lock waits by the monotonic clock anyway.
    """
    image = derive(released.reference, {"opt/faketime.so": clock})
    replica = start(
        image,
        ON_ERRONEOUS_INPUT="continue",
        LD_PRELOAD="/opt/faketime.so",
        FAKETIME_TIMESTAMP_FILE="/tmp/offset",
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    ).ready()
    dates = []
    with client.sending(sentences(100_000), 50):
        for jump in ("+0d", "+1d", "-1d", "+0d"):
            # In one step: libfaketime reads the file at every look at the clock, and hangs at an empty one.
            write = f"import os; open('/tmp/next', 'w').write('{jump}'); os.replace('/tmp/next', '/tmp/offset')"
            assert replica.execute("python3", "-c", write) == 0
            client.wait_replies(len(client.answered_at) + 100)
            bad = client.send(b"\xff", erroneous=True)
            dates.append(client.copy(bad).properties.headers["x-received-at"][:10])
            assert replica.is_ready
    client.wait_answered()
    record_property("dates_seen", ", ".join(dates))
    today = date.fromisoformat(dates[0])
    assert dates == [str(today + timedelta(days=days)) for days in (0, 1, -1, 0)]
    assert replica.said("no connection to the broker") == 0
    assert replica.exit_codes == []
