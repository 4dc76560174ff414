"""A deploy may be killed at any moment: every request is answered, and `rollback` puts things right."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from images import Version

from .places import Place, asking

PHASES = {
    "smoke": "starts and consumes",
    "start": "Starting",
    "ready": "is ready",
    "observe": "Observing",
    "drain": "ended with 0",
}
"""What a deploy says when it has come so far."""


def killed(place: Place, phase: str, *command: str) -> None:
    """Starts `build-model` and kills it in ``phase``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "build_model", *command, "--observe", "3"],
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if PHASES[phase] in line:
            break
    else:
        pytest.fail(f"it never came to {phase}: {''.join(said)}")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()


@pytest.fixture
def two_replicas(place: Place, released: Version, second: Version) -> Iterator[Place]:
    """1.0.0 serves with two replicas."""
    ran = place.deploy("1.0.0", "--replicas", "2")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    yield place
    place.command("unlock")


@pytest.mark.long
@pytest.mark.parametrize("phase", PHASES)
def test_a_deploy_that_was_killed_is_undone_by_a_rollback(two_replicas: Place, phase: str) -> None:
    place = two_replicas
    with asking(place) as answers:
        killed(place, phase, *place.deploying("2.0.0", "--replicas", "2"))
        assert place.command("rollback", "--observe", "1").object["error"] == "DeployLocked"
        assert place.command("unlock").object["unlocked"] is True
        back = place.command("rollback", "--observe", "1")
        assert back.exit_code == 0, back.stdout + back.stderr
    assert answers
    assert place.versions() == ["1.0.0", "1.0.0"]
    assert all(one["serves"] for one in place.command("status").object["replicas"])


@pytest.mark.long
@pytest.mark.parametrize("phase", PHASES)
def test_a_rollback_that_was_killed_is_finished_by_another_and_never_returns_to_the_bad_version(
    two_replicas: Place, phase: str
) -> None:
    place = two_replicas
    assert place.deploy("2.0.0", "--replicas", "2").exit_code == 0
    with asking(place) as answers:
        killed(place, phase, "rollback", "--name", place.name)
        assert place.command("unlock").object["unlocked"] is True
        back = place.command("rollback", "--observe", "1")
        assert back.exit_code == 0, back.stdout + back.stderr
    assert answers
    assert place.versions() == ["1.0.0", "1.0.0"]
    assert place.command("rollback", "--observe", "1").exit_code == 0
    assert place.versions() == ["2.0.0", "2.0.0"]
