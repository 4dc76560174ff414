"""deploy/kubernetes is what the API and KEDA take, to the letter, and holds what an operator expects of it."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from build_model.image.reference import Reference
from build_model.operation import render

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
KEDA = json.loads((ROOT / "tests" / "fixtures" / "keda.schema.json").read_text("utf-8"))
RESOURCES: list[str] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["resources"]
MANIFESTS: dict[str, dict[str, Any]] = {
    manifest["kind"]: manifest
    for name in RESOURCES
    for manifest in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
}
IMAGE = Reference("registry.example:5000", "team/dragoman/fra-eng", "2.7.1", "sha256:" + "a" * 64)
RENDERED: dict[str, dict[str, Any]] = {
    manifest["kind"]: manifest for manifest in yaml.safe_load_all(render.kubernetes(IMAGE, FOLDER))
}
VERSION_LABEL = "app.kubernetes.io/version"
RECOMMENDED = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component", "part-of", "version")}
OLDEST, NEWEST = "1.27", "1.37"


def validate(manifest: dict[str, Any], release: str) -> None:
    """Raises where Kubernetes or KEDA would refuse a manifest, or drop a field of it that they don't know."""
    if manifest["apiVersion"].startswith("keda.sh/"):
        jsonschema.validate(manifest, {"$defs": KEDA["$defs"], **KEDA[manifest["kind"]]})
    else:
        kubernetes_validate.validate(manifest, release, strict=True)


def versions(manifest: Any) -> list[str]:
    """Every version that a manifest is labelled with."""
    if isinstance(manifest, list):
        return [each for item in manifest for each in versions(item)]
    if not isinstance(manifest, dict):
        return []
    found = [each for item in manifest.values() for each in versions(item)]
    return found + ([manifest[VERSION_LABEL]] if VERSION_LABEL in manifest else [])


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
@pytest.mark.parametrize("source", [MANIFESTS, RENDERED], ids=["deploy/kubernetes", "render kubernetes"])
@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_manifest_is_valid(kind: str, source: dict[str, dict[str, Any]], release: str) -> None:
    validate(source[kind], release)


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_field_that_nobody_knows_is_refused(kind: str) -> None:
    manifest = copy.deepcopy(MANIFESTS[kind])
    manifest["spec"]["unheardOf"] = 1
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        validate(manifest, NEWEST)


@pytest.mark.parametrize("kind", MANIFESTS)
def test_every_resource_has_the_recommended_labels(kind: str) -> None:
    assert MANIFESTS[kind]["metadata"]["labels"].keys() == RECOMMENDED


def test_the_labels_name_the_version_that_runs() -> None:
    released = (ROOT / "VERSION").read_text("utf-8").strip()
    (image,) = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["images"]
    assert image["newTag"] == released
    assert set(versions(list(MANIFESTS.values()))) == {released}
    assert set(versions(list(RENDERED.values()))) == {IMAGE.tag}


def test_what_is_rendered_differs_in_image_and_version_alone() -> None:
    (container,) = RENDERED["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE.pinned
    released = (ROOT / "VERSION").read_text("utf-8").strip()
    text = json.dumps(RENDERED).replace(IMAGE.pinned, render.IMAGE).replace(f'"{IMAGE.tag}"', f'"{released}"')
    assert json.loads(text) == MANIFESTS


def test_every_file_is_a_resource() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*RESOURCES, "kustomization.yaml"}


def test_what_selects_replicas_finds_them_through_every_version() -> None:
    template = MANIFESTS["Deployment"]["spec"]["template"]
    (spread,) = template["spec"]["topologySpreadConstraints"]
    budget = MANIFESTS["PodDisruptionBudget"]["spec"]
    for selector in (MANIFESTS["Deployment"]["spec"]["selector"], spread["labelSelector"], budget["selector"]):
        assert selector["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert VERSION_LABEL not in selector["matchLabels"]
    assert budget["maxUnavailable"] == 1  # with a minimum of one replica a single one could never be moved


def test_metrics_are_served_on_the_port_that_is_named() -> None:
    (container,) = MANIFESTS["Deployment"]["spec"]["template"]["spec"]["containers"]
    (port,) = (int(each["value"]) for each in container["env"] if each["name"] == "METRICS_PORT")
    assert [(each["name"], each["containerPort"]) for each in container["ports"]] == [("metrics", port)]


def test_replicas_go_slowly_by_what_the_autoscaler_heeds() -> None:
    spec = MANIFESTS["ScaledObject"]["spec"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 60
    assert "cooldownPeriod" not in spec  # it counts on the way to none, and there is always one
    assert spec["minReplicaCount"] >= 1
    assert spec["scaleTargetRef"]["name"] == MANIFESTS["Deployment"]["metadata"]["name"]
