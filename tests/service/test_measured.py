"""What is measured beside the service still fits it."""

import os
import subprocess
import sys

from tests.benchmarks.consumer import INSTANT, ROOT


def test_the_service_without_its_model_serves_and_is_measured(amqp_url: str) -> None:
    chosen = ("--only", INSTANT.name, "--queue", "classic", "--seconds", "1")

    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "bench", *chosen],
        cwd=ROOT,
        env={**os.environ, "AMQP_URL": amqp_url, "CONTAINER_AMQP_URL": amqp_url, "REGISTRY": "none"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert INSTANT.name in ran.stdout
