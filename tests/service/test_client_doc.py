"""docs/client.md: each of its programs runs against a service of the released model, and prints what it says there.

In a clone that has another network, its own example and answer stand for the page's.
"""

import re
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest
from fork import MODEL, TODAYS
from service_process import ROOT, Service

import dragoman.client
from dragoman.client import Client, ClientError

TEXT = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
PROGRAMS = [textwrap.dedent(block) for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", TEXT, re.MULTILINE)]
SENTENCES, ANSWER = ("Je vais dormir.", "Bonjour.", "Merci beaucoup."), "I'm going to sleep."
URL = '"amqp://user:password@broker:5672/%2F"'


@pytest.fixture(scope="module")
def serving(amqp_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The queue of a service that serves the released model."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    settings = {"AMQP_URL": amqp_url, "RPC_QUEUE": name, "RPC_QUEUE_TYPE": "transient"}
    service = Service(ROOT, tmp_path_factory.mktemp("service") / "scratch", settings)
    try:
        yield service.ready() and name
    finally:
        service.send(signal.SIGTERM)
        service.exit_code()
        with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
            for queue in (name, f"{name}.quarantine"):
                connection.channel().queue_delete(queue)


@pytest.fixture(scope="module")
def said(serving: str, amqp_url: str) -> str:
    """What this clone's network says to its own example."""
    with Client(amqp_url, queue=serving) as client:
        return client.translate(MODEL.example)


@pytest.mark.parametrize("program", PROGRAMS, ids=[f"program-{number}" for number, _ in enumerate(PROGRAMS, 1)])
def test_a_program_prints_what_its_comments_say(
    program: str, serving: str, said: str, amqp_url: str, tmp_path: Path
) -> None:
    assert URL in program
    if not TODAYS:
        for sentence in SENTENCES:
            program = program.replace(sentence, MODEL.example)
        program = program.replace(ANSWER, said)
    path = tmp_path / "program.py"
    path.write_text(program.replace(URL, f'"{amqp_url}", "{serving}"'), encoding="utf-8")
    ran = subprocess.run([sys.executable, path], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.stderr == ""
    expected = [part for comment in re.findall(r"\)  # (.*)", program) for part in comment.split(", ")]
    assert expected
    assert ran.stdout.splitlines() == expected


def test_it_names_every_error() -> None:
    public = {name: getattr(dragoman.client, name) for name in dragoman.client.__all__}
    errors = {name for name, each in public.items() if issubclass(each, ClientError) and each is not ClientError}
    assert set(re.findall(r"^\| `(\w+)` \| .*", TEXT.split("## Time-outs")[1], re.MULTILINE)) == errors


def test_it_names_every_field_of_an_answer() -> None:
    fields = set(dragoman.client.Answer.__dataclass_fields__)
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT.split("## Many texts")[0], re.MULTILINE)) == fields
