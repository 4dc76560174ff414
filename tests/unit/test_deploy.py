"""What a deploy does is a value; these tests look at it."""

from dataclasses import replace

import pytest

from build_model.container import Container
from build_model.image.reference import Reference
from build_model.operation.plan import plan
from build_model.operation.running import Deployment, NoPrevious, Running
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
    environment={"AMQP_URL": "amqp://user:pa55word@10.0.0.1/%2F", "MAX_BATCH": "16"},
    client_amqp_url="amqp://user:pa55word@127.0.0.1/%2F",
)


def running_after(
    deployment: Deployment, before: list[Container] | None = None, created_at: str = "1", action: str = "deploy"
) -> list[Container]:
    """The containers that deploying ``deployment`` over ``before`` starts."""
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
            memory_bytes=spec.memory_bytes,
            secrets=spec.secrets,
        )
        for spec in plan(deployment, before or [], f"g{created_at}", action).start
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
    assert found.back == ONE
    back = running_after(replace(WANTED, image=ONE), second, created_at="3")
    found = Running.of(back)
    assert found is not None
    assert found.back == TWO


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


def cut_off(action: str, phase: str) -> list[Container]:
    """What is there when ``action`` was killed in ``phase``: a deploy of 1.1.0 over 1.0.0, or a rollback from it."""
    image = TWO if action == "deploy" else ONE
    old = running_after(replace(WANTED, image=ONE if image == TWO else TWO), created_at="1")
    old = [replace(one, labels={**one.labels, "dragoman.previous": str(image)}) for one in old]
    new = running_after(replace(WANTED, image=image), old, created_at="2", action=action)
    candidate = replace(new[0], name="candidate", labels={**new[0].labels, "dragoman.role": "candidate"})
    half_drained = [old[0], replace(old[1], status="exited", exit_code=0)]
    return {
        "smoke": [*old, candidate],
        "create": [*old, replace(new[0], status="created", health="")],
        "start": [*old, new[0], replace(new[1], health="starting")],
        "observe": [*old, *new],
        "drain": [*half_drained, *new],
        "drained": [old[0], *new],
    }[phase]


PHASES = ("smoke", "create", "start", "observe", "drain", "drained")


@pytest.mark.parametrize("action", ["deploy", "rollback"])
@pytest.mark.parametrize("phase", PHASES)
def test_what_serves_is_what_runs_and_is_ready_with_all_its_replicas(action: str, phase: str) -> None:
    found = Running.of(cut_off(action, phase))
    assert found is not None
    new, old = (TWO, ONE) if action == "deploy" else (ONE, TWO)
    assert found.deployment == replace(WANTED, image=new if phase.startswith("drain") else old)


@pytest.mark.parametrize("action", ["deploy", "rollback"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_rollback_undoes_a_deploy_that_was_cut_off_and_finishes_a_rollback_that_was(action: str, phase: str) -> None:
    left = cut_off(action, phase)
    found = Running.of(left)
    assert found is not None
    wanted = found.rolled_back()
    assert wanted == replace(WANTED, image=ONE)
    decided = plan(wanted, left, "g3", "rollback")
    kept = {one.id for one in left} - {one.id for one in (*decided.clear, *decided.drain, *decided.discard)}
    staying = [one for one in left if one.id in kept]
    assert len(staying) + len(decided.start) == WANTED.replicas
    assert {one.labels["dragoman.reference"] for one in staying} <= {str(ONE)}
    assert {spec.image for spec in decided.start} <= {ONE.pinned}


@pytest.mark.parametrize("phase", ["start", "observe", "drain"])
def test_a_deploy_after_one_that_was_cut_off_leaves_only_its_own_replicas(phase: str) -> None:
    left = cut_off("deploy", phase)
    decided = plan(WANTED, left, "g3")
    gone = {one.name for one in (*decided.clear, *decided.drain)}
    if decided.start:
        assert gone == {one.name for one in left}
        assert decided.start[0].labels["dragoman.previous"] == str(ONE)
    else:
        assert gone == {one.name for one in left if one.labels["dragoman.reference"] == str(ONE)}


def test_strays_go_at_the_end_while_what_serves_is_not_whole() -> None:
    left = cut_off("deploy", "start")
    left[0] = replace(left[0], status="restarting")
    decided = plan(WANTED, left, "g3")
    assert decided.clear == ()
    assert {one.name for one in decided.drain} == {one.name for one in left}


def test_replicas_of_dragoman_1_0_are_understood() -> None:
    """They have no generation, and the broker's URL stands in their environment."""
    new = ("dragoman.generation", "dragoman.replicas", "dragoman.action")
    old = [
        replace(
            one,
            labels={
                **{name: value for name, value in one.labels.items() if name not in new},
                "dragoman.settings": "AMQP_URL,MAX_BATCH",
                "dragoman.client-amqp-url": WANTED.client_amqp_url,
            },
            environment=WANTED.environment,
            secrets={},
        )
        for one in running_after(WANTED)
    ]
    found = Running.of(old)
    assert found is not None
    assert found.deployment == WANTED


def test_no_password_is_in_the_environment_or_the_labels_of_a_replica() -> None:
    spec = plan(WANTED, [], "g").start[0]
    assert "pa55word" not in str(dict(spec.environment)) + str(dict(spec.labels)) + repr(spec)
    assert spec.environment["AMQP_URL_FILE"] == "/run/secrets/amqp_url"
    assert spec.secrets == {"amqp_url": WANTED.environment["AMQP_URL"], "client_amqp_url": WANTED.client_amqp_url}


def test_on_the_hosts_network_each_replica_has_a_metrics_port_of_its_own_past_those_that_are_taken() -> None:
    wanted = replace(WANTED, network="host", environment={**WANTED.environment, "METRICS_PORT": "9100"})
    ports = [spec.environment["METRICS_PORT"] for spec in plan(wanted, [], "g", taken={9101}).start]
    assert ports == ["9100", "9102"]
    found = Running.of(running_after(wanted))
    assert found is not None
    assert found.deployment == wanted


def test_on_another_network_every_replica_has_the_port_that_was_asked_for() -> None:
    wanted = replace(WANTED, environment={**WANTED.environment, "METRICS_PORT": "9100"})
    assert {one.environment["METRICS_PORT"] for one in plan(wanted, [], "g", taken={9100}).start} == {"9100"}


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
        found.rolled_back()


def test_the_plan_reads_as_lines_and_holds_no_password() -> None:
    before = running_after(replace(WANTED, image=ONE))
    lines = plan(WANTED, before, "g2").lines()
    assert lines[0].startswith("smoke-test 127.0.0.1:5000/dragoman/fra-eng:1.1.0@sha256:2222")
    assert lines[-1] == "drain dragoman-1.0.0-g1-2 (1.0.0)"
    assert "pa55word" not in "".join(lines)


def test_the_status_shows_no_password() -> None:
    status = Status("dragoman", Running.of(running_after(WANTED)), None)
    assert "pa55word" not in str(status.facts()) + str(status.rows()) + str(status.encode())
    assert ("queue", "rpc_queue at amqp://user@10.0.0.1/%2F") in status.facts()
