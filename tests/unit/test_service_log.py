"""The log is one event a line."""

import json
from datetime import datetime

import pytest

from service import log


@pytest.fixture(autouse=True)
def restored() -> object:
    yield
    log.configure("json")


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    log.info("serving", queue="rpc_queue")
    log.error("a bug", bug=ValueError("two\nlines"))
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert datetime.fromisoformat(first.pop("time"))
    assert first == {"level": "info", "event": "serving", "queue": "rpc_queue"}
    assert second["level"] == "error"
    assert "ValueError: two\nlines" in second["traceback"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text")
    log.warning("blocked", queue="rpc_queue")
    assert capsys.readouterr().err.endswith("warning blocked queue=rpc_queue\n")


def test_what_a_client_wrote_makes_no_lines_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text")
    log.warning("putting a message into quarantine", correlation_id="7\n2026-01-01 info all is well\x1b[2J")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert r"correlation_id='7\n2026-01-01 info all is well\x1b[2J'" in said
