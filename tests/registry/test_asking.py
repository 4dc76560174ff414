"""What is said of versions: what differs, what fits, what lies beside them; names that move, and versions that go."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from checkpoints import write_checkpoint

from build_model.image import description
from build_model.image.artifact import sha256
from build_model.image.description import DescriptionFalse
from build_model.image.inspection import inspect
from build_model.image.reference import Reference
from build_model.image.registry import Registry, fallback
from build_model.operation import record
from build_model.operation.deploy import resolve
from build_model.store import compatibility, difference, promotion, removal
from build_model.store.promotion import NameRefused
from model.fingerprint import WEIGHTS, Manifest, architecture_hash
from registry.node import RegistryNode
from registry.store import REPOSITORY, Tally, ask, plant_versions


@pytest.fixture
def registry(node: RegistryNode) -> Registry:
    return Registry(node.address)


def named(registry: Registry, tag: str) -> Reference:
    return registry.address.reference(REPOSITORY, tag)


# What differs


def test_a_difference_is_told_by_what_it_means(node: RegistryNode, registry: Registry, tmp_path: Path) -> None:
    before = write_checkpoint(tmp_path / "one", words=("dormir", "manger"))
    after = write_checkpoint(
        tmp_path / "two", b"\1", words=("dormir", "boire"), answer="I'm going to sleep.", bleu=52.0
    )
    changed = Manifest.read(after)
    config, tensors = {"width": 2}, {"embedding": "F16 [2, 1]", "attention": "F16 [1, 1]"}
    architecture = architecture_hash(changed.code, config, tensors)
    replace(changed, config=config, tensors=tensors, architecture=architecture).write(after)
    plant_versions(node, before, ["1.0.0"])
    plant_versions(node, after, ["2.0.0"])
    found = ask(node.address, "diff", "1.0.0", "2.0.0", "--json").object
    assert found["config"] == {"width": {"before": 1, "after": 2}}
    assert found["tensors"] == {"attention": {"before": None, "after": "F16 [1, 1]"}}
    assert found["vocabularies"] == {"fra": {"gone": ["manger"], "new": ["boire"]}}
    assert found["scores"] == {"test bleu": {"before": 49.1, "after": 52.0}}
    assert found["goldens"] == {"Je vais dormir.": {"before": "I am going to sleep.", "after": "I'm going to sleep."}}
    assert found["goldens_asked"] == 1
    assert not found["files"]
    assert [(one["holds"], one["shared"]) for one in found["layers"]] == [("model", False), ("code", False)]
    said = ask(node.address, "diff", "1.0.0", "2.0.0").stdout
    for words in ("width  1 -> 2", "1 of 1 are answered differently", "1: manger", "1: boire", "49.1 -> 52.0"):
        assert words in said


def test_versions_of_two_registries_can_be_compared(node: RegistryNode, registry: Registry, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "one")
    plant_versions(node, checkpoint, ["1.0.0"])
    (tmp_path / "other").mkdir()
    with RegistryNode(tmp_path / "other") as other:
        plant_versions(other, checkpoint, ["1.0.0"])
        there = Registry(other.address)
        found = difference.difference((registry, named(registry, "1.0.0")), (there, named(there, "1.0.0")))
    assert found.fetched == 0
    assert not any((found.config, found.tensors, found.vocabularies, found.scores, found.goldens, found.files))


def test_only_the_beginning_of_a_layer_is_fetched_for_its_vocabularies(node: RegistryNode, tmp_path: Path) -> None:
    for seed, (number, words) in enumerate({"1.0.0": ("un",), "2.0.0": ("deux",)}.items()):
        checkpoint = write_checkpoint(tmp_path / number, words=words)
        weights = checkpoint / WEIGHTS
        weights.write_bytes(weights.read_bytes() + random.Random(seed).randbytes(3_000_000))
        replace(Manifest.read(checkpoint), weights=sha256(weights)).write(checkpoint)
        plant_versions(node, checkpoint, [number])
    with Tally(node.host) as tally:
        there = Registry(tally.address)
        found = difference.difference((there, named(there, "1.0.0")), (there, named(there, "2.0.0")))
        assert tally.received < 200_000
    assert found.fetched > 3_000_000
    assert [(one.gone, one.new) for one in found.vocabularies] == [(("un",), ("deux",))]


@pytest.mark.parametrize(
    "content",
    [
        b'{"code": "fra", "tokens": ["un", "deux"], "counts": [1, 2, 3]}',
        b'{"unknown": 1, "words": {"un": 0, "deux": 1}, "merges": ["u n"]}',
        b'["un", "deux"]',
        b'{"un": 0, "deux": 1}',
        b"un\ndeux\n",
    ],
)
def test_words_are_read_however_a_network_writes_its_vocabulary(content: bytes) -> None:
    assert difference.words_of(content) == {"un", "deux"}


# What fits


def test_a_checkpoint_fits_the_code_that_it_was_made_with_and_no_other(
    node: RegistryNode, registry: Registry, tmp_path: Path
) -> None:
    ours = write_checkpoint(tmp_path / "one")
    theirs = write_checkpoint(tmp_path / "two")
    manifest = Manifest.read(theirs)
    code = {**manifest.code, "search.py": "0" * 64}
    architecture = architecture_hash(code, manifest.config, manifest.tensors)
    replace(manifest, code=code, architecture=architecture).write(theirs)
    plant_versions(node, ours, ["1.0.0"])
    plant_versions(node, theirs, ["2.0.0"])
    fits = ask(node.address, "compatible", "1.0.0", "--checkpoint", str(ours), "--json")
    assert fits.exit_code == 0
    assert (fits.object["image_checkpoint_fits_clone"], fits.object["clone_checkpoint_fits_image"]) == (True, True)
    misfit = ask(node.address, "compatible", "2.0.0", "--checkpoint", str(ours), "--json")
    assert misfit.exit_code == 1
    assert not misfit.object["image_checkpoint_fits_clone"]
    assert not misfit.object["clone_checkpoint_fits_image"]
    assert misfit.object["image_checkpoint_in_clone"][0].startswith("search.py: ")
    said = ask(node.address, "compatible", "2.0.0", "--checkpoint", str(ours))
    assert said.exit_code == 1
    assert "its checkpoint does not run in this clone's code" in said.stdout


def test_a_manifest_that_was_changed_fits_nothing(node: RegistryNode, registry: Registry, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "one")
    replace(Manifest.read(checkpoint), config={"width": 2}).write(checkpoint)
    plant_versions(node, checkpoint, ["1.0.0"])
    found = compatibility.fit(registry, named(registry, "1.0.0"), checkpoint)
    assert found.taken[0].startswith("architecture: ")


# What lies beside an image


def test_an_image_is_inspected_from_what_lies_beside_it_and_without_that_from_its_layers(
    node: RegistryNode, registry: Registry, tmp_path: Path
) -> None:
    checkpoint = write_checkpoint(tmp_path / "one")
    plant_versions(node, checkpoint, ["1.0.0"])
    plant_versions(node, checkpoint, ["1.0.1"], described=False)
    told, read = (inspect(registry, named(registry, tag)) for tag in ("1.0.0", "1.0.1"))
    assert told.goldens == read.goldens == {"Je vais dormir.": "I am going to sleep."}
    assert told.manifest["version"] == "1.0.0"
    assert read.manifest["version"] == "1.0.1"
    assert {*told.digests} == {*read.digests}
    for image in (told, read):
        node.lose(image.blobs[1].digest)
    assert inspect(registry, named(registry, "1.0.0")) == told  # no layer is needed
    listed = ask(node.address, "list", "--json").object["versions"]
    assert [(one["version"], one["architecture"] != "") for one in listed] == [("1.0.1", True), ("1.0.0", True)]


def test_what_says_otherwise_than_the_image_counts_for_nothing(
    node: RegistryNode, registry: Registry, tmp_path: Path
) -> None:
    plant_versions(node, write_checkpoint(tmp_path / "one"), ["1.0.0"], described=False)
    image = registry.resolve(named(registry, "1.0.0"))
    before = inspect(registry, image)
    lie = description.Description(json.dumps({**before.manifest, "training": {}}).encode(), b"", before.digests)
    description.attach(registry, image, lie)
    assert registry.referrers(image, description.DESCRIPTION)
    assert inspect(registry, image) == before
    with pytest.raises(DescriptionFalse, match="isn't in it"):
        description.check(registry, image, before.labels)


# Names that move


def test_a_name_moves_and_what_it_stood_for_is_recorded(node: RegistryNode, registry: Registry, tmp_path: Path) -> None:
    plant_versions(node, write_checkpoint(tmp_path / "one"), ["1.0.0", "1.1.0"])
    digests = {tag: registry.resolve(named(registry, tag)).digest for tag in ("1.0.0", "1.1.0")}
    first = ask(node.address, "promote", "1.0.0", "production", "--json").object
    assert (first["moved"], first["before"], first["digest"]) == (True, None, digests["1.0.0"])
    second = ask(node.address, "promote", "1.1.0", "production", "--json").object
    assert (second["moved"], second["before"]) == (True, digests["1.0.0"])
    again = promotion.promote(node.address, named(registry, "1.1.0"), "production")
    assert not again.moved
    entries = ask(node.address, "history", "--name", "production", "--json").object["entries"]
    assert [(one["what"], one["image"].partition("@")[2]) for one in entries] == [
        ("promote", digests["1.0.0"]),
        ("promote", digests["1.1.0"]),
    ]
    assert entries[1]["before"].endswith(digests["1.0.0"])
    # What is deployed by a name is recorded as the version that it was, by digest.
    deployed = resolve("production", REPOSITORY, node.address)
    assert (deployed.tag, deployed.digest) == ("1.1.0", digests["1.1.0"])
    assert ask(node.address, "inspect", "production", "--json").object["labels"]["dragoman.artifact"]


@pytest.mark.parametrize(
    "name", ["2.0.0", "1.0", "v1", "7", "sha256-1", "recipe-1", "modelpack-x", "-x", "a b", "é", "", "x" * 129]
)
def test_a_name_that_could_be_a_version_or_no_tag_at_all_is_refused(name: str) -> None:
    with pytest.raises(NameRefused, match="like production"):
        promotion.check(name)


# Versions that go


def test_old_versions_go_but_none_with_a_name_or_that_a_deploy_or_a_rollback_may_need(
    node: RegistryNode, registry: Registry, tmp_path: Path
) -> None:
    numbers = [f"1.{number}.0" for number in range(7)]
    plant_versions(node, write_checkpoint(tmp_path / "one"), numbers, names={"production": "1.1.0"})
    pinned = {tag: registry.resolve(named(registry, tag)) for tag in numbers}
    facts = {"at": "2027", "who": "me@here", "what": "deploy", "name": "dragoman", "outcome": "done"}
    record.leave(node.address, pinned["1.2.0"], {**facts, "image": pinned["1.2.0"], "before": pinned["1.3.0"]})
    for what, outcome in (("deploy", "SmokeFailed: no"), ("shadow", "all the same")):  # which changed nothing
        told = {**facts, "at": "2028", "what": what, "outcome": outcome, "image": pinned["1.4.0"]}
        record.leave(node.address, pinned["1.4.0"], told)
    tried = ask(node.address, "prune", "--in-registry", "--keep", "2", "--dry-run", "--json").object["versions"]
    assert set(registry.names(REPOSITORY)) == {*numbers, "production"}
    found = removal.prune(node.address, named(registry, ""), 2)
    assert [one.encode() for one in found] == tried
    assert {one["version"]: one["kept"] for one in tried} == {
        "1.6.0": "one of the 2 newest",
        "1.5.0": "one of the 2 newest",
        "1.4.0": "",
        "1.3.0": "a rollback leads to it",
        "1.2.0": "was deployed last",
        "1.1.0": "is production",
        "1.0.0": "",
    }
    assert set(registry.names(REPOSITORY)) == {"1.6.0", "1.5.0", "1.3.0", "1.2.0", "1.1.0", "production"}
    for gone in (pinned["1.4.0"], pinned["1.0.0"]):
        assert registry.find(replace(gone, tag="")) is None
        assert registry.find(fallback(gone)) is None


def test_an_image_that_two_versions_name_goes_once_and_stays_where_one_of_them_does(
    node: RegistryNode, registry: Registry, tmp_path: Path
) -> None:
    plant_versions(node, write_checkpoint(tmp_path / "one"), ["1.0.0", "1.1.0", "1.2.0"])
    for number, again in (("1.0.0", "1.0.1"), ("1.1.0", "1.3.0")):
        registry.put_manifest(named(registry, again), registry.manifest(named(registry, number)).blob)
    record.leave(
        node.address,
        registry.resolve(named(registry, "1.2.0")),
        {"name": "dragoman", "what": "deploy", "at": "2027", "outcome": "done"},
    )
    gone = [one.version.version.tag for one in removal.prune(node.address, named(registry, ""), 1) if not one.kept]
    assert gone == ["1.0.1", "1.0.0"]
    assert set(registry.names(REPOSITORY)) == {"1.3.0", "1.2.0", "1.1.0"}
