"""What a deploy does is a value; these tests look at it."""

from dataclasses import replace

import pytest

from build_model.engine import Container
from build_model.image.reference import Reference
from build_model.operation import deploy
from build_model.operation.deploy import NoPrevious
from build_model.operation.plan import Deployment, Running, plan
from build_model.operation.status import Status

DIGEST_1, DIGEST_2 = "sha256:" + "1" * 64, "sha256:" + "2" * 64
ONE = Reference("127.0.0.1:5000", "dragoman/fra-eng", "1.0.0", DIGEST_1)
TWO = Reference("127.0.0.1:5000", "dragoman/fra-eng", "1.1.0", DIGEST_2)
WANTED = Deployment(
    name="dragoman",
    image=TWO,
    registry="127.0.0.1:5000",
    replicas=2,
    network="bridge",
    environment={"AMQP_URL": "amqp://user:secret@10.0.0.1/%2F", "MAX_BATCH": "16"},
    client_amqp_url="amqp://user:secret@127.0.0.1/%2F",
)


def running_after(
    deployment: Deployment, before: list[Container] | None = None, created_at: str = "1"
) -> list[Container]:
    """The containers that deploying ``deployment`` over ``before`` leaves."""
    return [
        Container(
            id=spec.name,
            name=spec.name,
            image=spec.image,
            labels=spec.labels,
            environment={"PATH": "/usr/bin", **spec.environment},
            network=spec.network,
            status="running",
            health="healthy",
            exit_code=None,
            restarts=0,
            started_at="2026-11-22T12:00:00Z",
            created_at=created_at,
        )
        for spec in plan(deployment, before or [], "g").start
    ]


def test_a_first_deploy_tries_the_image_then_starts_the_replicas_and_drains_nothing() -> None:
    decided = plan(WANTED, [], "abc123")
    assert decided.trial.image == f"127.0.0.1:5000/dragoman/fra-eng@{DIGEST_2}"
    assert [spec.name for spec in decided.start] == ["dragoman-1.1.0-abc123-1", "dragoman-1.1.0-abc123-2"]
    assert decided.drain == ()
    assert "dragoman.previous" not in decided.start[0].labels


def test_replicas_run_by_digest_and_restart_and_carry_what_a_rollback_needs() -> None:
    spec = plan(WANTED, [], "g").start[0]
    assert spec.image == TWO.pinned
    assert spec.restart
    (found,) = (Running.of(running_after(replace(WANTED, replicas=1))),)
    assert found is not None
    assert found.deployment == replace(WANTED, replicas=1)


def test_a_second_version_drains_the_first_and_names_it_as_the_way_back() -> None:
    before = running_after(replace(WANTED, image=ONE))
    decided = plan(WANTED, before, "g2")
    assert decided.drain == tuple(before)
    assert {spec.labels["dragoman.previous"] for spec in decided.start} == {str(ONE)}


def test_rolling_back_twice_returns() -> None:
    first = running_after(replace(WANTED, image=ONE), created_at="1")
    second = running_after(WANTED, first, created_at="2")
    found = Running.of(second)
    assert found is not None
    assert found.previous == ONE
    back = running_after(replace(WANTED, image=ONE), second, created_at="3")
    found = Running.of(back)
    assert found is not None
    assert found.previous == TWO


def test_deploying_what_serves_already_starts_nothing() -> None:
    decided = plan(WANTED, running_after(WANTED), "g2")
    assert decided.start == ()
    assert "already serves" in decided.lines()[0]


@pytest.mark.parametrize("change", [{"replicas": 3}, {"environment": {**WANTED.environment, "MAX_BATCH": "8"}}])
def test_the_same_version_with_other_settings_is_deployed_anew_and_keeps_its_way_back(
    change: dict[str, object],
) -> None:
    first = running_after(replace(WANTED, image=ONE), created_at="1")
    second = running_after(WANTED, first, created_at="2")
    decided = plan(replace(WANTED, **change), second, "g3")
    assert decided.drain == tuple(second)
    assert {spec.labels["dragoman.previous"] for spec in decided.start} == {str(ONE)}


@pytest.mark.parametrize(
    "state", [{"status": "restarting"}, {"status": "exited", "exit_code": 78}, {"health": "unhealthy"}]
)
def test_the_same_version_with_a_broken_replica_is_deployed_anew(state: dict[str, object]) -> None:
    whole = running_after(WANTED)
    decided = plan(WANTED, [replace(whole[0], **state), whole[1]], "g2")
    assert len(decided.start) == 2
    assert len(decided.drain) == 2


def test_after_a_deploy_that_was_cut_off_both_versions_are_drained() -> None:
    old = running_after(replace(WANTED, image=ONE), created_at="1")
    both = [*old, *running_after(WANTED, old, created_at="2")]
    decided = plan(WANTED, both, "g3")
    assert len(decided.start) == 2
    assert {one.name for one in decided.drain} == {one.name for one in both}
    assert decided.start[0].labels["dragoman.previous"] == str(ONE)


def test_a_candidate_left_by_a_deploy_that_was_cut_off_is_removed() -> None:
    (replica,) = running_after(replace(WANTED, replicas=1))
    candidate = replace(replica, name="dragoman-candidate-1", labels={**replica.labels, "dragoman.role": "candidate"})
    decided = plan(WANTED, [candidate], "g2")
    assert decided.discard == (candidate,)
    assert decided.drain == ()


def test_a_first_version_has_no_way_back_and_says_so() -> None:
    found = Running.of(running_after(WANTED))
    assert found is not None
    with pytest.raises(NoPrevious, match="first version"):
        deploy.rollback_target(found, None)


def test_the_plan_reads_as_lines_and_holds_no_password() -> None:
    before = running_after(replace(WANTED, image=ONE))
    lines = plan(WANTED, before, "g2").lines()
    assert lines[0].startswith("smoke-test 127.0.0.1:5000/dragoman/fra-eng:1.1.0@sha256:2222")
    assert lines[-1] == "drain dragoman-1.0.0-g-2 (1.0.0)"
    assert "secret" not in "".join(lines)


def test_the_status_shows_no_password() -> None:
    status = Status("dragoman", Running.of(running_after(WANTED)), None)
    assert "secret" not in str(status.facts()) + str(status.rows()) + str(status.encode())
    assert ("queue", "rpc_queue at amqp://user@10.0.0.1/%2F") in status.facts()
