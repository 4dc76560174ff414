"""Health is told by files, and asked without the model."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service import health


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def age(thread: str, seconds: float) -> None:
    (health.folder() / thread).write_text(f"{time.monotonic() - seconds:.3f}", encoding="ascii")


def test_nothing_is_well_before_the_service_runs() -> None:
    well, line = health.probe("live")
    assert not well
    assert "is the service running?" in line


def test_a_loading_service_is_live_and_not_ready() -> None:
    health.Vitals()
    assert health.probe("live") == (True, "live")
    assert not health.probe("ready")[0]


def test_a_serving_service_is_ready_until_it_is_not() -> None:
    vitals = health.Vitals()
    vitals.ready = True
    assert health.probe("ready") == (True, "ready")
    vitals.ready = False
    assert not health.probe("ready")[0]


@pytest.mark.parametrize("thread", [health.LOOP, health.INFERENCE])
def test_a_thread_that_hangs_is_noticed(thread: str) -> None:
    health.Vitals().ready = True
    age(thread, health.STALE_SECONDS + 1)
    for kind in ("live", "ready"):
        well, line = health.probe(kind)
        assert not well
        assert thread in line


def test_a_heartbeat_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    vitals = health.Vitals()
    age(health.LOOP, health.STALE_SECONDS + 1)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    vitals.loop.beat()
    assert health.probe("live") == (True, "live")


def test_a_new_process_does_not_inherit_readiness() -> None:
    health.Vitals().ready = True
    health.Vitals()
    assert not health.probe("ready")[0]


def test_the_probe_imports_neither_model_nor_transport() -> None:
    code = "import sys, service.__main__ as m; m.main(['health', 'live']); print([*sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert not {"torch", "pika", "model", "asyncio", "prometheus_client"} & set(eval(printed.stdout.splitlines()[-1]))
