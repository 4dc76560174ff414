"""A version's way from a checkpoint to a queue and back, over a real engine, registry and broker."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from fork import vouched_for
from images import ROOT, BuildModel, Derive, Urls, Version, forget, push

from build_model.engine import Engine
from build_model.image import sbom
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.image.signature import PrivateKey
from build_model.operation import lock
from build_model.operation.rpc import Broker, Parcel
from build_model.report import silent

from .places import SENTENCE, Place, asking

NOBODY = "127.0.0.1:1"
OURS = ["model", "lexicon", "network", "text", "library", "service", "guard"]
"""What the layers hold that build-model writes."""


# Build, push, pull


def test_a_build_names_its_reference_image_layers_and_hash(released: Version, engine: Engine) -> None:
    built = released.built
    image = engine.image(released.reference)
    assert image is not None
    assert built["reference"] == released.reference
    assert built["image"] == image.id
    assert built["architecture"] == image.labels["dragoman.architecture"]
    assert [layer["holds"] for layer in built["layers"]][-7:] == OURS
    assert all(layer["bytes"] < 40_000 for layer in built["layers"][-5:])
    assert built["tested"]
    assert built["total_bytes"] < 165_000_000


def test_pushing_the_same_version_with_the_same_content_does_nothing(
    build_model: BuildModel, released: Version, registry: str, repository: str
) -> None:
    ran = build_model("--version", "1.0.0", "--registry", registry, "--repository", repository, "--push", "--json")
    assert ran.exit_code == 0
    assert ran.object["built"] is False
    assert ran.object["digest"] == released.built["digest"]


def test_pushing_the_same_version_with_other_content_is_refused_with_what_differs(
    build_model: BuildModel, released: Version, registry: str, repository: str, other_checkpoint: Path
) -> None:
    where = ("--registry", registry, "--repository", repository, "--push")
    ran = build_model("--version", "1.0.0", "--checkpoint", str(other_checkpoint), *where, "--json")
    assert ran.exit_code != 0
    assert ran.object["error"] == "TagExists"
    differing = {line.split(":")[0].strip() for line in ran.object["message"].splitlines()[1:-1]}
    # What was learnt differs in its English alone: a vocabulary of the French by itself is the same.
    all_of_it = {f"model/checkpoint/{name}" for name in vouched_for()}
    vocabularies = {name for name in all_of_it if name.endswith(".lang.json")}
    assert all_of_it - vocabularies < differing <= all_of_it
    labels = Registry(registry).labels(Reference(registry, repository, "1.0.0"))
    assert labels["dragoman.artifact"] == released.built["artifact"]


def test_built_without_an_engine_it_is_the_same_image_to_the_last_byte(
    build_model: BuildModel, released: Version, registry: str, repository: str
) -> None:
    where = ("--registry", registry, "--repository", f"{repository}-again", "--push", "--no-test")
    nobody = {"DOCKER_HOST": f"tcp://{NOBODY}"}
    ran = build_model("--version", "1.0.0", *where, "--max-push", "15MB", "--json", environment=nobody)
    assert ran.exit_code == 0, ran.stdout
    assert ran.object["digest"] == released.built["digest"]
    assert ran.object["tested"] is False
    assert ran.object["sent_bytes"] < 15_000_000
    again = build_model("--version", "1.0.0", *where, environment=nobody)
    assert "already in the registry, with this very content" in again.stdout


def test_a_released_version_is_verified_without_running_it_and_rebuilt_from_the_clone(
    build_model: BuildModel, released: Version
) -> None:
    nobody = {"DOCKER_HOST": f"tcp://{NOBODY}"}
    ran = build_model("verify", released.reference, "--rebuild", "--json", environment=nobody)
    assert ran.exit_code == 0, ran.stdout
    assert (ran.object["verified"], ran.object["rebuilt"]) == (True, True)
    assert ran.object["digest"] == released.built["digest"]


def test_a_report_runs_an_image_by_its_own_code_beside_the_checkpoint_that_it_was_built_of(
    build_model: BuildModel, released: Version, tmp_path: Path
) -> None:
    nobody = {"DOCKER_HOST": f"tcp://{NOBODY}"}
    said = [("Je vais dormir.", "I'm going to sleep."), ("Où est la gare ?", "Where is the station?")]
    lines = [json.dumps({"src": source, "refs": [target]}) + "\n" for source, target in said]
    (tmp_path / "said.jsonl").write_text("".join(lines), encoding="utf-8")
    asked = ("--test", str(tmp_path / "said.jsonl"), "--output", str(tmp_path / "report.html"))
    ran = build_model("report", released.reference, "model/checkpoint", *asked, "--json", environment=nobody)
    assert ran.exit_code == 0, ran.stdout
    image, folder = ran.object["sets"]["said"]["worth"]
    assert image == folder
    assert image["chrf"] > 60
    assert released.reference in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_its_bill_of_materials_is_cyclonedx_and_lists_debians_and_pythons_packages_with_licences(
    released: Version, registry: str, repository: str
) -> None:
    there = Registry(registry)
    image = Reference(there.host, repository, digest=str(released.built["digest"]))
    found = [there.manifest(replace(image, digest=one.digest)) for one in there.referrers(image, sbom.CYCLONEDX)]
    bills = [there.blobs(repository).read(one.layers[0].digest) for one in found]
    assert len(bills) == 2
    assert [JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode()) for bill in bills] == [None, None]
    listed = {one["name"]: one for one in json.loads(bills[0])["components"]}
    lock = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z][\w.-]*)==([^\s;]+)", lock, re.MULTILINE))
    versions = {name.lower().replace("_", "-"): one["version"] for name, one in listed.items()}
    del locked["pip"]  # which installs the others, and stays behind
    assert {name: versions.get(name) for name in locked} == locked
    assert versions["torch"] in (ROOT / "requirements" / "torch.txt").read_text(encoding="utf-8")
    assert listed["libc6"]["purl"].startswith("pkg:deb/debian/libc6@")
    assert all(one["licenses"] for one in listed.values())
    assert {"expression": "Apache-2.0 AND BSD-2-Clause"} in listed["prometheus_client"]["licenses"]
    assert any(part["purl"].startswith("pkg:cargo/") for part in listed["tokenizers"]["components"])


def test_behind_a_path_a_pushed_version_is_not_overwritten_either(
    build_model: BuildModel, released: Version, registry: str, repository: str, other_checkpoint: Path
) -> None:
    team = f"{registry}/team"
    pushed = push(build_model, "1.0.0", team, repository)
    assert pushed.built["reference"] == pushed.reference
    again = ("--version", "1.0.0", "--registry", team, "--repository", repository, "--push", "--json")
    assert build_model(*again).object["built"] is False
    refused = build_model(*again, "--checkpoint", str(other_checkpoint))
    assert refused.object["error"] == "TagExists"
    inspected = build_model("inspect", "1.0.0", "--registry", team, "--repository", repository, "--json").object
    assert inspected["digest"] == pushed.built["digest"]


def test_another_clone_with_the_same_content_gives_the_same_layers(
    build_model: BuildModel, released: Version, engine: Engine, registry: str, repository: str, clone: Path
) -> None:
    layers = image_layers(engine, released.reference)
    forget(engine, released.reference, repository)
    where = ("--registry", registry, "--repository", repository)
    ran = build_model("--version", "1.0.0", *where, "--json", root=clone)
    assert ran.exit_code == 0, ran.stdout
    assert ran.object["artifact"] == released.built["artifact"]
    assert image_layers(engine, released.reference) == layers


def test_an_image_of_the_engine_is_inspected_there(build_model: BuildModel, released: Version, repository: str) -> None:
    ran = build_model("inspect", f"{repository}:1.0.0", "--json")
    assert ran.exit_code == 0
    assert ran.object["labels"]["dragoman.artifact"] == released.built["artifact"]
    assert ran.object["manifest"]["version"] == "1.0.0"
    assert [layer["holds"] for layer in ran.object["layers"]][-7:] == OURS
    assert ran.object["layers_compressed"] is False


def test_a_version_is_inspected_in_the_registry_and_not_pulled(
    build_model: BuildModel, second: Version, engine: Engine, repository: str
) -> None:
    forget(engine, second.reference, repository)
    ran = build_model("inspect", second.reference, "--json")
    assert ran.exit_code == 0
    assert ran.object["labels"]["org.opencontainers.image.version"] == "2.0.0"
    assert ran.object["manifest"]["version"] == "2.0.0"
    assert ran.object["digest"] == second.built["digest"]
    assert "bleu" in json.dumps(ran.object["scores"])
    assert engine.image(second.reference) is None


def test_a_version_pulled_by_tag_is_the_one_that_was_pushed(second: Version, engine: Engine, repository: str) -> None:
    if engine.image(second.reference) is not None:
        forget(engine, second.reference, repository)
    image = engine.pull(second.reference, silent())
    assert f"{second.reference.rpartition(':')[0]}@{second.built['digest']}" in image.digests
    assert image.labels["dragoman.artifact"] == second.built["artifact"]


def test_a_second_version_shares_the_runtime_and_has_its_own_model(
    released: Version, second: Version, engine: Engine
) -> None:
    first_layers, second_layers = image_layers(engine, released.reference), image_layers(engine, second.reference)
    # The package `model` is the same for both: only what is trained and what says so differs.
    assert first_layers[:-7] == second_layers[:-7]
    assert set(first_layers[-7:]) & set(second_layers[-7:]) == set(first_layers[-6:-1])


def test_a_dry_run_says_what_would_be_built_and_warns_of_the_number(
    build_model: BuildModel, released: Version, registry: str, repository: str, other_checkpoint: Path
) -> None:
    where = ("--registry", registry, "--repository", repository)
    ran = build_model("--version", "1.0.1", "--checkpoint", str(other_checkpoint), *where, "--dry-run", "--json")
    assert ran.exit_code == 0
    assert "its architecture is another one" in ran.object["warning"]
    assert "1.0.1" not in Registry(registry).tags(repository)


# Deploy, roll back


def test_versions_are_deployed_rolled_back_and_rolled_forward_with_every_request_answered(
    place: Place, released: Version, second: Version, audit_log: Path, tmp_path: Path
) -> None:
    first = place.deploy("1.0.0", "--replicas", "2")
    assert first.exit_code == 0, first.stdout + first.stderr
    assert first.object["previous"] is None
    assert place.versions() == ["1.0.0", "1.0.0"]
    (answer,) = place.ask(SENTENCE)
    assert (answer.version, answer.error) == ("1.0.0", None)
    assert answer.architecture == released.built["architecture"]

    with asking(place) as answers:
        deployed = place.deploy("2.0.0")
    assert deployed.exit_code == 0, deployed.stdout
    assert deployed.object["previous"] == f"{released.reference}@{released.built['digest']}"
    assert len(deployed.object["drained"]) == 2
    assert place.versions() == ["2.0.0"]
    assert {answer.version for answer in answers} == {"1.0.0", "2.0.0"}
    assert place.ask(SENTENCE)[0].version == "2.0.0"

    private, public = PrivateKey.generate(tmp_path / "ours")
    required = ("rollback", "--observe", "1", "--require-signature", str(public))
    with asking(place) as answers:
        assert place.command(*required).object["error"] == "SignatureMissing"
        assert place.versions() == ["2.0.0"]
        assert place.build_model("sign", released.reference, "--key", str(private)).exit_code == 0
        back = place.command(*required)
    assert back.exit_code == 0, back.stdout
    assert place.versions() == ["1.0.0"]
    assert {answer.version for answer in answers} == {"1.0.0", "2.0.0"}

    forward = place.command("rollback", "--observe", "1")
    assert forward.exit_code == 0, forward.stdout
    assert place.versions() == ["2.0.0"]

    actions = [json.loads(line) for line in audit_log.read_text().splitlines()]
    here = [one for one in actions if one.get("name") == place.name and one["what"] != "drain"]
    refused = ("rollback", "SignatureMissing")
    done = [("deploy", "done"), ("deploy", "done"), refused, ("rollback", "done"), ("rollback", "done")]
    assert [(one["what"], one["outcome"].partition(":")[0]) for one in here] == done
    assert all(
        action["exit_code"] == 0 for action in actions if action["what"] == "drain" and action["name"] == place.name
    )


def test_a_version_that_serves_already_is_left_alone(place: Place, second: Version) -> None:
    before = place.command("status").object["replicas"]
    ran = place.deploy("2.0.0")
    assert ran.exit_code == 0
    assert ran.object["changed"] is False
    after = place.command("status").object["replicas"]
    assert [replica["name"] for replica in after] == [replica["name"] for replica in before]


def test_a_replica_that_met_erroneous_input_comes_back_and_serves(
    place: Place, second: Version, broker: Broker
) -> None:
    (answer,) = broker.exchange(place.name, [Parcel(b"Bonjour \xff")], 60)
    assert answer.error == "not-utf8"
    assert place.ask(SENTENCE)[0].version == "2.0.0"
    assert place.command("status").object["replicas"][0]["restarts"] == 1
    quarantined = broker.take_one(f"{place.name}.quarantine", 10)
    assert quarantined is not None
    assert quarantined.body == b"Bonjour \xff"
    assert quarantined.headers["x-model-version"] == "2.0.0"


def test_a_version_that_fails_its_smoke_test_is_not_deployed_and_the_old_one_serves(
    place: Place, second: Version, engine: Engine, derive: Derive, registry: str
) -> None:
    weights = "opt/dragoman/model/checkpoint/weights.safetensors"
    content = bytearray(engine.read_files(second.reference, [f"/{weights}"])[f"/{weights}"])
    content[-1] ^= 1
    repository = f"{place.repository}-damaged"
    engine.tag(derive(second.reference, {weights: bytes(content)}), f"{registry}/{repository}:2.0.0")
    engine.push(f"{registry}/{repository}:2.0.0", silent())

    ran = place.deploy("2.0.0", repository=repository)
    assert ran.exit_code != 0
    assert ran.object["error"] == "SmokeFailed"
    assert "ended with 78" in ran.object["message"]
    assert place.versions() == ["2.0.0"]
    assert place.ask(SENTENCE)[0].version == "2.0.0"
    assert not engine.containers({"dragoman.deployment": place.name, "dragoman.role": "candidate"})


def test_an_image_whose_labels_lie_is_not_deployed(
    place: Place, second: Version, engine: Engine, registry: str
) -> None:
    repository = f"{place.repository}-renamed"
    engine.tag(second.reference, f"{registry}/{repository}:3.0.0")
    engine.push(f"{registry}/{repository}:3.0.0", silent())
    ran = place.deploy("3.0.0", repository=repository)
    assert ran.exit_code != 0
    assert ran.object["error"] == "LabelsFalse"


def test_a_broker_that_only_this_side_can_reach_fails_the_candidate_and_nothing_else(
    place: Place, second: Version
) -> None:
    ran = place.build_model(
        *("deploy", "1.0.0", "--registry", place.registry, "--repository", place.repository, "--name", place.name),
        *("--amqp-url", f"amqp://guest:guest@{NOBODY}/%2F", "--client-amqp-url", place.urls.client, "--json"),
    )
    assert ran.exit_code != 0
    assert ran.object["error"] == "SmokeFailed"
    assert "ended with 69" in ran.object["message"]
    assert place.versions() == ["2.0.0"]


def test_a_second_deploy_at_the_same_time_is_refused_until_unlocked(
    place: Place, second: Version, engine: Engine
) -> None:
    labels = {lock.WHO: "somebody@elsewhere", lock.WHEN: "2026-01-01T00:00:00+00:00"}
    spec = lock.spec(place.name, second.reference, "deploy 9.9.9")
    engine.start(engine.create(replace(spec, labels={**spec.labels, **labels})))

    refused = place.deploy("1.0.0")
    assert refused.object["error"] == "DeployLocked"
    assert "somebody@elsewhere holds it since 2026-01-01" in refused.object["message"]
    assert f"build-model unlock --name {place.name}" in refused.object["message"]
    assert place.command("status").object["lock"]["dragoman.lock.what"] == "deploy 9.9.9"

    assert place.command("unlock").object["unlocked"] is True
    assert place.command("unlock").object["unlocked"] is False
    unlocked = place.build_model("unlock", "--name", place.name)
    assert (unlocked.exit_code, unlocked.stdout) == (0, f"{place.name} was not locked.\n")
    assert place.command("status").object["lock"] is None
    assert place.deploy("2.0.0").exit_code == 0


# What can't be done is said in one line


@pytest.mark.parametrize(
    ("arguments", "environment", "error"),
    [
        (("deploy", "9.9.9", "--registry", "{registry}", "--amqp-url", "{amqp}"), {}, "VersionUnknown"),
        (("deploy", "1.0.0", "--registry", NOBODY, "--amqp-url", "{amqp}"), {}, "RegistryUnreachable"),
        (("deploy", "1.0.0", "--registry", "{registry}", "--amqp-url", "amqp://" + NOBODY), {}, "BrokerUnreachable"),
        (
            ("deploy", "1.0.0", "--registry", "{registry}", "--amqp-url", "{amqp}"),
            {"DOCKER_HOST": f"tcp://{NOBODY}"},
            "EngineUnavailable",
        ),
        (("rollback", "--name", "nobody"), {}, "NothingDeployed"),
        (("translate", "Bonjour.", "--amqp-url", "{amqp}", "--queue", "nobody.asked"), {}, "QueueMissing"),
        (("smoke", "dragoman/none:1.0.0", "--amqp-url", "{amqp}"), {}, "ImageMissing"),
        (("smoke", "{registry}/dragoman/none", "--amqp-url", "{amqp}"), {}, "ImageMissing"),
        (("smoke", "{registry}/dragoman/none:1.0.0", "--amqp-url", "{amqp}"), {}, "ImageMissing"),
        (("inspect", "dragoman/none"), {}, "VersionUnknown"),
        (("quarantine", "list", "--amqp-url", "{amqp}", "--queue", "nobody.asked"), {}, "QueueMissing"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_non_zero_exit(
    build_model: BuildModel,
    released: Version,
    registry: str,
    repository: str,
    urls: Urls,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    error: str,
) -> None:
    given = [argument.format(registry=registry, amqp=urls.client) for argument in arguments]
    if "deploy" in given:
        given += ["--repository", repository, "--name", "nobody"]
    ran = build_model(*given, environment=environment)
    assert ran.exit_code != 0
    assert ran.stdout == ""
    said = [line for line in ran.stderr.splitlines() if ": " in line]
    assert said[-1].startswith(f"{error}: ")
    assert "Traceback" not in ran.stderr


def test_a_sentence_is_translated_over_the_queue_from_the_command_line(place: Place, second: Version) -> None:
    ran = place.build_model("translate", SENTENCE, "123", "--amqp-url", place.urls.client, "--queue", place.name)
    assert ran.exit_code == 0, ran.stderr
    first, fallback = ran.stdout.splitlines()
    assert first
    assert fallback == "Could not translate. Try 'Je vais dormir.'"


def test_a_sentence_is_translated_with_a_checkpoint_and_nobody_is_asked(
    build_model: BuildModel, other_checkpoint: Path
) -> None:
    nobody = {"DOCKER_HOST": f"tcp://{NOBODY}"}
    ran = build_model("translate", SENTENCE, "123", "--checkpoint", str(other_checkpoint), "--json", environment=nobody)
    assert ran.exit_code == 0, ran.stdout
    first, fallback = ran.object["translations"]
    assert (first["error"], first["version"]) == (None, "unreleased")
    assert (fallback["error"], fallback["text"]) == ("no-letters", "Could not translate. Try 'Je vais dormir.'")


def image_layers(engine: Engine, reference: str) -> tuple[str, ...]:
    """The digests of an image's layers."""
    image = engine.image(reference)
    assert image is not None
    return image.layers
