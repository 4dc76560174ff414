"""`build-model quarantine` with a real broker: what the service put aside is shown, put back, or thrown away."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from service_process import Client, Service, until
from typer.testing import CliRunner, Result

from build_model.cli import app as cli

Start = Callable[..., Service]
Run = Callable[..., Result]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The audit log."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "dragoman" / "audit.jsonl"


@pytest.fixture
def run(amqp_url: str, request_queue: str, state: Path) -> Run:
    """Runs `build-model quarantine` on the queue of the test."""
    where = ("--amqp-url", amqp_url, "--queue", request_queue)
    return lambda command, *arguments: CliRunner().invoke(cli.app, ("quarantine", command, *where, *arguments))


@pytest.fixture
def filled(start: Start, client: Client) -> list[str]:
    """A quarantine with six messages, oldest first, filled by a service that is gone; their correlation ids."""
    service = start(ON_ERRONEOUS_INPUT="continue").ready()
    bodies: list[tuple[str | bytes, dict[str, Any]]] = [
        ("raise one", {}),
        (b"\xff\xfe", {}),
        ("nobody asks", {"reply_to": None}),
        ("raise [bold]two", {"headers": {"mine": 1}, "expiration": "60000"}),
        (b"zip", {"content_encoding": "gzip"}),
        ("raise three", {}),
    ]
    ids = []
    for number, (body, properties) in enumerate(bodies, start=1):
        ids.append(client.send(body, **properties))
        until(lambda count=number: client.depth(f"{client.request_queue}.quarantine") == count, f"{number} of them")
    service.send(signal.SIGTERM)  # it acks the last one first
    assert service.exit_code() == 0
    client.receive(5)
    return ids


def kept(run: Run) -> list[str]:
    """The correlation ids of what is in quarantine, in no order."""
    return sorted(message["correlation_id"] for message in json.loads(run("list", "--json").stdout)["messages"])


def test_list_shows_what_is_there_and_leaves_it_there(run: Run, filled: list[str], client: Client) -> None:
    found = json.loads(run("list", "--json").stdout)
    assert found["queue"] == f"{client.request_queue}.quarantine"
    assert found["total"] == 6
    assert [message["correlation_id"] for message in found["messages"]] == filled
    reasons = [message["reason"] for message in found["messages"]]
    assert reasons == ["crashed", "not-utf8", "reply-to", "crashed", "content-encoding", "crashed"]
    assert [message["bytes"] for message in found["messages"]] == [9, 2, 11, 15, 3, 11]
    assert {message["version"] for message in found["messages"]} == {"9.8.7"}
    spoken = run("list", "--limit", "4")
    assert f"{client.request_queue}.quarantine: 6 messages, 4 shown" in spoken.stdout
    assert r"\xff\xfe" in spoken.stdout
    assert "raise [bold]two" in spoken.stdout
    assert kept(run) == sorted(filled)


@pytest.mark.parametrize("declared_by", ["1.0.0", "this version"])
@pytest.mark.parametrize("limit", ["20", "2"])
def test_list_loses_nothing_however_often(run: Run, client: Client, start: Start, declared_by: str, limit: str) -> None:
    quarantine = f"{client.request_queue}.quarantine"
    if declared_by == "1.0.0":
        client.channel.queue_declare(quarantine, durable=True, arguments={"x-queue-type": "quorum"})
    service = start(ON_ERRONEOUS_INPUT="continue").ready()
    sent = sorted(client.send(b"\xff" + bytes([number]), reply_to=None) for number in range(5))
    sent = sorted([*sent, client.send(b"\xffodd", reply_to=None, headers={"CC": [], "x-delivery-count": 99})])
    until(lambda: client.depth(quarantine) == len(sent), "all of them in quarantine")
    service.end()
    for _ in range(25):
        found = json.loads(run("list", "--json", "--limit", limit).stdout)
        assert found["total"] == len(sent)
    assert kept(run) == sent
    copies = client.quarantine(len(sent))
    assert sorted(copy.properties.correlation_id for copy in copies) == sent
    assert {copy.properties.headers["x-reason"] for copy in copies} == {"reply-to"}


def test_what_crashed_a_version_is_translated_by_a_mended_one(
    run: Run, filled: list[str], start: Start, client: Client, state: Path
) -> None:
    ran = run("requeue", "--reason", "crashed", "--json")
    assert json.loads(ran.stdout) == {"queue": client.request_queue, "dry_run": False, "requeued": 3, "refused": {}}
    start(STAND_IN_MENDED="1").ready()
    answers = {reply.properties.correlation_id: reply.text for reply in client.receive(3)}
    assert answers == {filled[0]: "RAISE ONE", filled[3]: "RAISE [BOLD]TWO", filled[5]: "RAISE THREE"}
    assert kept(run) == sorted([filled[1], filled[2], filled[4]])
    entry = json.loads(state.read_text())
    assert (entry["what"], entry["queue"], entry["messages"]) == ("requeue", client.request_queue, 3)


def test_what_would_only_return_stays(run: Run, filled: list[str], client: Client) -> None:
    ran = run("requeue")
    assert ran.exit_code == 0
    assert ran.stdout.splitlines() == [
        f"3 messages went back to {client.request_queue}",
        *(
            f"1 message would only return, and stayed: {reason}"
            for reason in ("content-encoding", "not-utf8", "reply-to")
        ),
    ]
    assert kept(run) == sorted([filled[1], filled[2], filled[4]])
    assert client.depth(client.request_queue) == 3


def test_a_dry_run_changes_nothing(run: Run, filled: list[str], client: Client, state: Path) -> None:
    assert f"2 messages would go back to {client.request_queue}" in run("requeue", "--dry-run", "--limit", "2").stdout
    assert kept(run) == sorted(filled)
    assert client.depth(client.request_queue) == 0
    assert not state.exists()


def test_answers_can_be_sent_to_a_queue_where_no_client_waits(
    run: Run, filled: list[str], start: Start, client: Client
) -> None:
    assert "QueueMissing" in run("requeue", "--reply-to", "no-such-queue").stderr
    assert kept(run) == sorted(filled)
    client.channel.queue_declare(f"{client.request_queue}.answers")
    try:
        ran = run("requeue", "--reason", "reply-to", "--reply-to", f"{client.request_queue}.answers")
        assert "1 message went back" in ran.stdout
        start().ready()
        client.channel.basic_consume(f"{client.request_queue}.answers", client._on_reply, auto_ack=True)
        assert [reply.text for reply in client.receive()] == ["NOBODY ASKS"]
    finally:
        client.channel.queue_delete(f"{client.request_queue}.answers")


def test_only_so_many_go_back_and_the_oldest_first(run: Run, filled: list[str], client: Client) -> None:
    assert json.loads(run("requeue", "--limit", "2", "--json").stdout)["requeued"] == 2
    bodies = [client.channel.basic_get(client.request_queue, auto_ack=True)[2] for _ in range(2)]
    assert bodies == [b"raise one", b"raise [bold]two"]


def test_requeue_without_a_request_queue_loses_nothing(run: Run, filled: list[str], client: Client) -> None:
    client.channel.queue_delete(client.request_queue)
    ran = run("requeue", "--reason", "crashed")
    assert ran.exit_code == 1
    assert ran.stderr.startswith("QueueMissing: ")
    assert ran.stderr.count("\n") == 1
    assert kept(run) == sorted(filled)


def test_a_full_request_queue_refuses_and_nothing_is_lost(
    run: Run, filled: list[str], client: Client, request_queue: str
) -> None:
    client.channel.queue_delete(request_queue)
    limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
    client.channel.queue_declare(request_queue, durable=True, arguments=limits)
    ran = run("requeue", "--reason", "crashed")
    assert ran.exit_code == 1
    assert ran.stderr.startswith("PublishRefused: ")
    assert client.depth(request_queue) + len(kept(run)) == 6


def test_purge_removes_one_reason_or_all_and_says_how_many(run: Run, filled: list[str], state: Path) -> None:
    refused = run("purge")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert kept(run) == sorted(filled)
    ran = run("purge", "--reason", "crashed", "--yes", "--json")
    assert json.loads(ran.stdout)["removed"] == 3
    assert kept(run) == sorted([filled[1], filled[2], filled[4]])
    assert "removed: 3" in run("purge", "--yes").stdout
    assert kept(run) == []
    assert [json.loads(line)["messages"] for line in state.read_text().splitlines()] == [3, 3]


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 6), (b"y\n", 0)])
def test_purge_asks_on_a_terminal(
    run: Run, filled: list[str], amqp_url: str, request_queue: str, answer: bytes, left: int
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    command = [sys.executable, "-m", "build_model", "quarantine", "purge", "--queue", request_queue]
    environment = {**os.environ, "DRAGOMAN_AMQP_URL": amqp_url}
    ran = subprocess.run(
        command, stdin=theirs, capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    os.close(theirs)
    os.close(ours)
    assert f"Remove 6 messages in {request_queue}.quarantine for good?" in ran.stderr
    assert ran.returncode == (1 if left else 0)
    assert len(kept(run)) == left


def test_nothing_is_removed_that_cannot_be_recorded(
    run: Run, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    for command in (("purge", "--yes"), ("requeue",)):
        result = run(*command, "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["error"] == "SystemRefused"
    assert kept(run) == sorted(filled)


def test_a_queue_that_no_service_used_is_named(run: Run, request_queue: str) -> None:
    ran = run("list")
    assert ran.exit_code == 1
    assert "QueueMissing: The broker at " in ran.stderr
    assert f"no queue '{request_queue}.quarantine'" in ran.stderr
