"""The audit log says who did what, and no password."""

import json
from pathlib import Path

import pytest

from build_model.operation.audit import Audit, history_row


def test_an_entry_says_who_did_what_when_and_with_what_outcome(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "state" / "audit.jsonl")
    audit.record("deploy", name="dragoman", image="r:5000/dragoman/fra-eng:1.0.0@sha256:1", outcome="done")
    (entry,) = audit.read()
    assert entry["what"] == "deploy"
    assert "@" in entry["who"]
    assert history_row(entry)[2:] == ("deploy", "1.0.0", "done")


@pytest.mark.parametrize(
    "url",
    [
        *("amqp://user:pa55word@host/%2F", 'amqp://user:pa"55word@host', "amqp://u:é55@h", "amqp://user:pre/55@host"),
        *("amqp://user:p#55@host", "amqp://user:p?55@host", "user:55@host", "55user:55@host:5672/%2F"),
    ],
)
def test_no_password_comes_into_the_log_whatever_the_outcome_repeats(tmp_path: Path, url: str) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.record("deploy", (url,), name="dragoman", outcome=f"BrokerUnreachable: no broker at {url}")
    (entry,) = audit.read()
    del entry["at"]  # it may well be 55 past
    text = json.dumps(entry, ensure_ascii=False)
    assert "55" not in text
    assert "BrokerUnreachable" in text


def test_a_line_that_a_full_disk_cut_off_hides_no_other(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.path.write_text('{"what": "dep\n')
    audit.record("unlock", name="dragoman")
    assert [entry["what"] for entry in audit.read()] == ["unlock"]
