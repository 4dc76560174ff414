"""Manifests are written with a version's digest in them."""

import re
from pathlib import Path

import pytest

from build_model.image.reference import Reference
from build_model.operation.render import ManifestsChanged, kubernetes

ROOT = Path(__file__).parents[2]
IMAGE = Reference("registry.example:5000", "team/dragoman/fra-eng", "1.2.0", "sha256:" + "a" * 64)


def test_kubernetes_runs_the_digest_and_everything_else_stays() -> None:
    stream = kubernetes(IMAGE, ROOT / "deploy" / "kubernetes")
    assert f"image: {IMAGE.pinned}\n" in stream
    assert "image: translator" not in stream
    kinds = [line.split()[1] for line in stream.splitlines() if line.startswith("kind:")]
    assert {"Deployment", "ScaledObject", "TriggerAuthentication"} <= set(kinds)
    assert "Kustomization" not in kinds
    assert len(kinds) == len(stream.split("\n---\n"))


def test_manifests_that_name_the_image_otherwise_are_refused(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("kind: Kustomization\nresources:\n  - one.yaml\n")
    (tmp_path / "one.yaml").write_text("kind: Deployment\nimage: other\n")
    with pytest.raises(ManifestsChanged, match="git checkout"):
        kubernetes(IMAGE, tmp_path)


def test_another_model_runs_beside_it_under_a_name_and_on_a_queue_of_its_own() -> None:
    stream = kubernetes(IMAGE, ROOT / "deploy" / "kubernetes", "eng-fra", "eng:fra")
    assert stream.count('"eng:fra"\n') == 2  # what it answers on, and what it is scaled by
    assert not re.search(r"(?:(?:name|instance): dragoman|rpc_queue)$", stream, re.MULTILINE)
    usual = kubernetes(IMAGE, ROOT / "deploy" / "kubernetes")
    changed = [line for line in usual.splitlines() if line not in stream.splitlines()]
    assert {line.split(": ")[1] for line in changed} == {"dragoman", '"rpc_queue"'}
