"""`build-model translate --input`: a file goes through the service line by line, and on from where it was cut off."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from service_process import Service

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(amqp_url: str, request_queue: str, start: Callable[..., Service], tmp_path: Path) -> Run:
    """Runs `build-model translate` against a service that turns texts to capitals."""
    start().ready()

    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "build_model", "translate", "--queue", request_queue, *arguments]
        environment = os.environ | {"DRAGOMAN_CLIENT_AMQP_URL": amqp_url}
        ran = subprocess.run(
            command, cwd=tmp_path, env=environment, input=stdin, capture_output=True, timeout=60, check=False
        )
        return subprocess.CompletedProcess(command, ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    return run


def test_a_line_gives_a_line_in_order_and_empty_ones_stay_empty(run: Run, tmp_path: Path) -> None:
    lines = [f"ligne {number}" if number % 10 else "" for number in range(300)]
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ran = run("--input", "in.txt", "--output", "out.txt", "--window", "16")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").split("\n")[:-1] == [line.upper() for line in lines]


def test_standard_input_works_too_and_json_is_an_object_a_line(run: Run) -> None:
    ran = run("--input", "-", "--json", stdin=b"un\n\ndeux")
    assert ran.returncode == 0, ran.stderr
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(row["source"], row["text"]) for row in rows] == [("un", "UN"), ("", ""), ("deux", "DEUX")]
    assert rows[0]["version"] == "9.8.7"


def test_it_goes_on_after_the_whole_lines_that_are_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("un\ndeux\ntrois\n", encoding="utf-8")
    (tmp_path / "out.txt").write_text("as it was\nDEU", encoding="utf-8")
    refused = run("--input", "in.txt", "--output", "out.txt")
    assert refused.returncode == 1
    assert refused.stderr.startswith("OutputExists: ")
    ran = run("--input", "in.txt", "--output", "out.txt", "--resume")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "as it was\nDEUX\nTROIS\n"


def test_what_cannot_go_on_says_how_far_it_came(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("un\nwait 5\ntrois\n", encoding="utf-8")
    ran = run("--input", "in.txt", "--output", "out.txt", "--timeout", "1", "--window", "1")
    assert ran.returncode == 1
    assert ran.stderr.startswith("Unfinished: 1 lines of in.txt are written, then: ")
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "UN\n"


def test_a_line_that_is_no_text_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"un\n\xff\xfe\n")
    ran = run("--input", "in.txt", "--window", "1")
    assert ran.returncode == 1
    assert "in.txt, line 2 is not UTF-8" in ran.stderr
