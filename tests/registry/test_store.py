"""What people ask a model store, and how soon and from how little it answers: a registry that has 200 versions."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from checkpoints import write_checkpoint
from images import Ran, missing

from build_model.cli.build import checkpoint_folder
from build_model.image.artifact import sha256
from build_model.image.registry import FALLBACK, Registry
from build_model.report import silent
from model.fingerprint import WEIGHTS, Manifest
from registry.node import RegistryNode, RegistryUnavailable
from registry.store import REPOSITORY, Tally, ask, plant_versions, quickest

VERSIONS = [f"1.{number}.0" for number in range(200)]
SECONDS = 0.5


WEIGHTS_BYTES = 3_000_000
BESIDE_BYTES = 60_000
"""What may go over the wire beside the weights: manifests, and all that refers to them."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose weights can't be compressed."""
    folder = write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "one")
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes() + random.Random(1).randbytes(WEIGHTS_BYTES))
    replace(Manifest.read(folder), weights=sha256(weights)).write(folder)
    return folder


@contextmanager
def registries(*folders: Path) -> Iterator[list[RegistryNode]]:
    """Registries with their data in these folders."""
    with ExitStack() as nodes:
        try:
            yield [nodes.enter_context(RegistryNode(folder)) for folder in folders]
        except RegistryUnavailable as error:
            missing(error)


@pytest.fixture(scope="module")
def full(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryNode]:
    """A registry with 200 versions, each described and deployed once; 1.7.0 is production. Nobody changes it."""
    with registries(tmp_path_factory.mktemp("full")) as (node,):
        plant_versions(node, checkpoint, VERSIONS, names={"production": "1.7.0"})
        yield node


@pytest.fixture
def changing(checkpoint: Path, tmp_path: Path) -> Iterator[RegistryNode]:
    """The same, of a test's own."""
    with registries(tmp_path) as (node,):
        plant_versions(node, checkpoint, VERSIONS, names={"production": "1.7.0"})
        yield node


@pytest.fixture
def other(tmp_path: Path) -> Iterator[RegistryNode]:
    """A registry that has nothing."""
    (tmp_path / "other").mkdir()
    with registries(tmp_path / "other") as (node,):
        yield node


@pytest.mark.parametrize(
    ("arguments", "kilobytes"),
    [
        (("list",), 600),  # 3 kB of each version
        (("history", "--limit", "1000"), 600),
        (("inspect", "1.7.0"), 30),
        (("diff", "1.7.0", "1.8.0"), 60),
        (("compatible", "1.7.0"), 30),
        (("promote", "1.7.0", "production"), 30),
        (("prune", "--in-registry", "--dry-run"), 1200),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_answer_takes_kilobytes_and_half_a_second(
    full: RegistryNode, arguments: tuple[str, ...], kilobytes: int
) -> None:
    with Tally(full.host) as tally:
        counted = ask(tally.address, *arguments, "--json")
        assert json.loads(counted.stdout), counted.stderr
        assert 0 < tally.received < kilobytes * 1000
    took = quickest(SECONDS, lambda: ask(full.address, *arguments, "--json"))
    assert took <= SECONDS


def test_versions_are_listed_newest_first_with_their_names_and_scores(full: RegistryNode) -> None:
    found = ask(full.address, "list", "--json").object["versions"]
    assert [one["version"] for one in found] == VERSIONS[::-1]
    assert {one["version"]: one["names"] for one in found if one["names"]} == {"1.7.0": ["production"]}
    assert found[0]["scores"] == {"test": 50.0}
    assert found[0]["created"] == "2026-01-02T00:00:00Z"
    said = ask(full.address, "list", "--limit", "1")
    assert said.stdout.splitlines()[1].split()[0] == "1.199.0"


def test_history_has_the_records_of_all_versions(full: RegistryNode) -> None:
    entries = ask(full.address, "history", "--limit", "1000", "--json").object["entries"]
    assert len(entries) == len(VERSIONS)
    assert entries == sorted(entries, key=lambda entry: entry["at"])


# What moves


def test_a_name_moves_by_kilobytes_and_in_half_a_second(changing: RegistryNode) -> None:
    numbers = itertools.cycle(["1.8.0", "1.9.0"])

    def promoted(address: str) -> Ran:
        ran = ask(address, "promote", next(numbers), "production", "--json")
        assert ran.object["moved"]
        return ran

    with Tally(changing.host) as tally:
        promoted(tally.address)
        assert tally.received + tally.sent < 40_000
    assert quickest(SECONDS, lambda: promoted(changing.address)) <= SECONDS


def test_a_checkpoint_comes_out_by_its_own_layer_alone(full: RegistryNode, checkpoint: Path, tmp_path: Path) -> None:
    folders = (str(tmp_path / f"{number}") for number in itertools.count())
    with Tally(full.host) as tally:
        assert ask(tally.address, "pull", "1.7.0", next(folders), "--json").object["files"]
        assert WEIGHTS_BYTES < tally.received < WEIGHTS_BYTES + BESIDE_BYTES
    assert quickest(SECONDS, lambda: ask(full.address, "pull", "1.7.0", next(folders), "--json")) <= SECONDS
    with Tally(full.host) as tally:
        start = time.process_time()
        with checkpoint_folder(Path("1.7.0"), tally.address, REPOSITORY, silent()) as folder:
            assert time.process_time() - start <= SECONDS
            assert (folder / WEIGHTS).read_bytes() == (checkpoint / WEIGHTS).read_bytes()
        assert WEIGHTS_BYTES < tally.received < WEIGHTS_BYTES + BESIDE_BYTES


def test_a_copy_moves_what_is_missing_and_is_made_again_from_kilobytes(full: RegistryNode, other: RegistryNode) -> None:
    with Tally(full.host) as there, Tally(other.host) as here:

        def copied(version: str) -> tuple[int, int, int]:
            """(bytes of blobs sent, as it says; bytes from the one registry; bytes to the other)."""
            before = there.received, here.sent
            ran = ask(there.address, "copy", version, f"{here.address}/team/fra-eng", "--json")
            return ran.object["sent_bytes"], there.received - before[0], here.sent - before[1]

        first, next_one, again = copied("1.7.0"), copied("1.8.0"), copied("1.8.0")
    for bytes_of_first, bytes_of_next, bytes_of_again in zip(first, next_one, again, strict=True):
        assert WEIGHTS_BYTES < bytes_of_first < WEIGHTS_BYTES + BESIDE_BYTES
        assert 0 < bytes_of_next < BESIDE_BYTES
        assert bytes_of_again < BESIDE_BYTES
    assert again[0] == 0
    target = f"{other.host}/team/fra-eng"
    assert quickest(SECONDS, lambda: ask(full.address, "copy", "1.8.0", target, "--json")) <= SECONDS


def test_a_file_is_written_of_each_blob_once_and_brings_what_is_missing(
    full: RegistryNode, other: RegistryNode, tmp_path: Path
) -> None:
    def exported(address: str, version: str = "1.7.0") -> Ran:
        return ask(address, "export", version, str(tmp_path / f"{version}.tar"), "--json")

    def brought(address: str, version: str) -> Ran:
        return ask(address, "import", str(tmp_path / f"{version}.tar"), "--json")

    with Tally(full.host) as tally:
        assert exported(tally.address).object["bytes"] > WEIGHTS_BYTES
        assert WEIGHTS_BYTES < tally.received < WEIGHTS_BYTES + BESIDE_BYTES
    exported(full.address, "1.8.0")
    assert quickest(SECONDS, lambda: exported(full.address)) <= SECONDS
    sent = []
    with Tally(other.host) as tally:
        for version in ("1.7.0", "1.8.0", "1.8.0"):
            before = tally.sent
            (one,) = brought(tally.address, version).object["images"]
            sent.append((one["sent_bytes"], tally.sent - before))
            assert tally.received < BESIDE_BYTES
    assert WEIGHTS_BYTES < sent[0][0] < sent[0][1] < WEIGHTS_BYTES + BESIDE_BYTES
    assert 0 < sent[1][0] < sent[1][1] < BESIDE_BYTES
    assert sent[2][0] == 0
    assert sent[2][1] < BESIDE_BYTES
    assert quickest(SECONDS, lambda: brought(other.address, "1.8.0")) <= SECONDS


# What goes


def test_nearly_all_of_200_versions_go_with_all_that_lies_beside_them(changing: RegistryNode) -> None:
    ran = ask(changing.address, "prune", "--in-registry", "--keep", "2", "--json")
    assert ran.exit_code == 0, ran.stderr
    kept = [one["version"] for one in ran.object["versions"] if one["kept"]]
    assert kept == ["1.199.0", "1.198.0", "1.7.0"]
    left = Registry(changing.address).tags(REPOSITORY)
    assert {tag for tag in left if not FALLBACK.fullmatch(tag)} == {*kept, "production"}
    assert len([tag for tag in left if FALLBACK.fullmatch(tag)]) == len(kept)
