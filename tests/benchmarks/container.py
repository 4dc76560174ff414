"""From `docker run` of an image to its first answer."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from statistics import median
from typing import Any

from build_model.engine import ContainerSpec, Engine
from tests.benchmarks.bench import Setting, client_of
from tests.benchmarks.consumer import ROOT

STARTS = 5
REPOSITORY = "dragoman/bench"


def released_image(registry: str) -> str:
    """Builds the image of the released checkpoint, from layers that are there if nothing changed; its reference."""
    version = (ROOT / "VERSION").read_text("utf-8").strip()
    order = ["--version", version, "--repository", REPOSITORY, "--registry", registry, "--json"]
    command = [sys.executable, "-m", "build_model", *order]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return str(json.loads(built.stdout)["reference"])


def starts(setting: Setting, image: str, container_url: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Median seconds from before a container is created to the answer of a request that waits for it in the queue."""
    engine = Engine.connect()
    seconds = []
    for number in range(STARTS):
        say(f"container start {number + 1} of {STARTS}")
        with client_of(setting, "quorum") as (client, queue), client.asking() as answered:
            name = f"bench-{uuid.uuid4().hex[:8]}"
            spec = ContainerSpec(name, image, "bridge", False, {"AMQP_URL": container_url, "RPC_QUEUE": queue}, {})
            begin = time.monotonic()
            try:
                engine.start(engine.create(spec))
                seconds.append(answered() - begin)
            finally:
                engine.remove(name)
    return {"name": "container", "start_seconds": median(seconds), "starts": seconds}
