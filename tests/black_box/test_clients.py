"""Libraries of other people ask for a translation as their own documentation shows; each is a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pika
import pytest
from images import ROOT, Urls, missing
from patience import PATIENCE_SECONDS

from build_model.engine import ContainerSpec, Engine
from build_model.operation.rpc import Broker

CLIENTS = ROOT / "tests" / "clients"
GOLDEN = "/opt/dragoman/model/checkpoint/golden.jsonl"
MANIFEST = "/opt/dragoman/model/checkpoint/manifest.json"


@dataclass(frozen=True)
class Service:
    """One replica, and what it is to answer."""

    queue: str
    source: str
    expected: dict[str, object]
    scores: bool


@pytest.fixture(scope="module")
def service(image: str, engine: Engine, urls: Urls) -> Iterator[Service]:
    """One replica on a queue of its own, which exists already in the form that amqplib's example declares."""
    found = engine.image(image)
    assert found is not None
    pairs = [json.loads(line) for line in engine.read_files(found.id, [GOLDEN])[GOLDEN].decode().splitlines()]
    pair = next((pair for pair in pairs if not pair["source"].isascii()), pairs[0])
    queue = f"test-clients-{uuid.uuid4().hex[:8]}"
    spec = ContainerSpec(
        name=queue,
        image=image,
        network="bridge",
        labels={},
        restart=False,
        environment={"AMQP_URL": urls.container, "RPC_QUEUE": queue},
    )
    with pika.BlockingConnection(pika.URLParameters(urls.client)) as connection:
        connection.channel().queue_declare(queue, durable=False)
    with Broker(urls.client) as broker:
        container = engine.create(spec)
        try:
            engine.start(container)
            until = time.monotonic() + PATIENCE_SECONDS
            while not broker.consumers(queue):
                assert time.monotonic() < until, engine.log(container, lines=20)
                time.sleep(0.1)
            who = {
                "x-model-version": found.labels["org.opencontainers.image.version"],
                "x-architecture": found.labels["dragoman.architecture"],
            }
            answer = {"text": pair["target"], "content_type": "text/plain", "content_encoding": "utf-8", "headers": who}
            manifest = json.loads(engine.read_files(found.id, [MANIFEST])[MANIFEST])
            yield Service(queue, pair["source"], answer, bool(manifest.get("calibration")))
        finally:
            engine.remove(container)
            for name in (queue, f"{queue}.quarantine"):
                broker.delete(name)


def _node() -> str:
    """Node.js as `make setup` installs it, beside this Python."""
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    node = shutil.which("node", path=here)
    if node is None or not (CLIENTS / "node_modules" / "amqplib").is_dir():
        missing(FileNotFoundError("amqplib is not installed: make setup"))
    return node


@pytest.mark.parametrize("client", ["ask_aio_pika.py", "ask_kombu.py", "ask_amqplib.js"])
def test_a_client_of_another_library_gets_its_translation(client: str, service: Service, urls: Urls) -> None:
    program = _node() if client.endswith(".js") else sys.executable
    ran = subprocess.run(
        [program, str(CLIENTS / client), urls.client, service.queue, service.source],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answer = json.loads(ran.stdout)
    assert answer.pop("answered") == answer.pop("asked")
    answer["headers"].pop("x-request-id", None)  # the message_id that aio-pika gives every message comes back
    assert ("x-score" in answer["headers"]) == service.scores
    assert 0 < float(answer["headers"].pop("x-score", 1)) <= 1
    assert answer == service.expected
