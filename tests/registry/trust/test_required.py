"""A signature that is required: whatever takes an image refuses one that isn't right, by name, and does nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from answering import answering
from typer.testing import CliRunner

from build_model.cli.app import app
from build_model.image import attached, oci, sbom, trust
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.image.signature import PrivateKey
from build_model.report import silent
from build_model.store import archive
from registry.node import RegistryNode

from .documents import attach, documents, unattach

TEAM = "team/fra-eng"


@dataclass
class Gate:
    """Where a Docker engine could be: it answers that it is there. ``asked``: whatever else it was asked. A context
    manager."""

    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._answering = answering(_GateHandler, gate=self)
        self._port = self._answering.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._answering.__exit__(None, None, None)

    @property
    def url(self) -> str:
        """As ``--host`` wants it."""
        return f"tcp://127.0.0.1:{self._port}"


class _GateHandler(BaseHTTPRequestHandler):
    gate: ClassVar[Gate]

    def do_GET(self) -> None:
        path = self.path.rpartition("/")[2]
        if path not in ("_ping", "version"):
            self.gate.asked.append(self.path)
        body = json.dumps({"ApiVersion": "1.41"}).encode() if path == "version" else b"OK"
        self.send_response(200 if path in ("_ping", "version") else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()


@dataclass(frozen=True)
class Scene:
    """Version 1.0.0 and 1.0.1 in a registry, keys, and another registry that has nothing."""

    node: RegistryNode
    registry: Registry
    pushed: Reference
    next_one: Reference
    key: PrivateKey
    other: RegistryNode
    folder: Path

    def sign(self, *images: Reference) -> None:
        """By the key that is required."""
        for image in images:
            trust.sign(self.registry, image, self.key)

    def ask(self, *arguments: str) -> dict[str, Any]:
        """What ``build-model`` says as JSON."""
        state = {"XDG_STATE_HOME": str(self.folder / "state"), "XDG_CONFIG_HOME": str(self.folder / "config")}
        ran = CliRunner().invoke(app, [*arguments, "--json"], env=state)
        found: dict[str, Any] = json.loads(ran.stdout)
        assert ran.exit_code == ("error" in found)
        return found


@pytest.fixture
def scene(
    node: RegistryNode, registry: Registry, pushed: Reference, next_one: Reference, key: PrivateKey, tmp_path: Path
) -> Iterator[Scene]:
    (tmp_path / "other").mkdir()
    with RegistryNode(tmp_path / "other") as other:
        yield Scene(node, registry, pushed, next_one, key, other, tmp_path)


# What can be wrong


def nobody_signed(scene: Scene) -> None:
    pass


def another_key_signed(scene: Scene) -> None:
    trust.sign(scene.registry, scene.pushed, PrivateKey.read(PrivateKey.generate(scene.folder / "other-key")[0]))


def the_tag_was_moved(scene: Scene) -> None:
    scene.sign(scene.pushed, scene.next_one)
    scene.registry.put_manifest(replace(scene.pushed, digest=""), scene.registry.manifest(scene.next_one).blob)


def the_signature_is_of_another_image(scene: Scene) -> None:
    scene.sign(scene.next_one)
    signature = scene.registry.manifest(trust.place(scene.next_one))
    scene.registry.put_manifest(trust.place(scene.pushed), signature.blob)


def the_bill_of_materials_is_gone(scene: Scene) -> None:
    scene.sign(scene.pushed)
    unattach(scene.registry, scene.pushed, lambda one: one.annotations.get(attached.TITLE) == attached.BILL)


def the_bill_of_materials_was_exchanged(scene: Scene) -> None:
    scene.sign(scene.pushed)
    told = {attached.TITLE: attached.BILL}
    bill = oci.blob(documents(scene.registry, scene.pushed, sbom.CYCLONEDX)[1] + b" ", sbom.CYCLONEDX)
    unattach(scene.registry, scene.pushed, lambda one: one.annotations.get(attached.TITLE) == attached.BILL)
    attach(scene.registry, scene.pushed, sbom.CYCLONEDX, bill, told)


def a_byte_of_the_signature_is_flipped(scene: Scene) -> None:
    scene.sign(scene.pushed)
    scene.node.damage(scene.registry.manifest(trust.place(scene.pushed)).layers[0].digest)


WRONG: Sequence[tuple[Callable[[Scene], None], str]] = (
    (nobody_signed, "SignatureMissing"),
    (another_key_signed, "SignatureMissing"),
    (the_tag_was_moved, "TagMoved"),
    (the_signature_is_of_another_image, "SignatureForeign"),
    (the_bill_of_materials_is_gone, "SbomMissing"),
    (the_bill_of_materials_was_exchanged, "AttachedChanged"),
    (a_byte_of_the_signature_is_flipped, "BlobFalse"),
)


@pytest.mark.parametrize(("wrong", "error"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_whatever_takes_an_image_refuses_it_by_name_before_anything_is_done(
    scene: Scene, wrong: Callable[[Scene], None], error: str
) -> None:
    wrong(scene)
    key, out, file = str(scene.folder / "ours.pub"), scene.folder / "out", scene.folder / "image.tar"
    here = ("--registry", scene.registry.host)
    required = (*here, "--require-signature", key)
    broker = ("--amqp-url", "amqp://nobody.invalid/%2F")
    with Gate() as gate:
        found = {
            "verify": scene.ask("verify", "1.0.0", *here, "--key", key),
            "deploy": scene.ask("deploy", "1.0.0", *required, *broker, "--host", gate.url),
            "swarm": scene.ask("deploy", "1.0.0", *required, *broker, "--host", gate.url, "--engine", "swarm"),
            "kubernetes": scene.ask("render", "kubernetes", "1.0.0", *required),
            "copy": scene.ask("copy", "1.0.0", f"{scene.other.host}/{TEAM}", *required),
            "pull": scene.ask("pull", "1.0.0", str(out), *required),
        }
    if error != "BlobFalse":  # which no archive can have: the export is refused, and a damaged one by another name
        archive.export(scene.registry, replace(scene.pushed, digest=""), file, silent())
        there = ("--registry", scene.other.host, "--repository", TEAM, "--require-signature", key)
        found["import"] = scene.ask("import", str(file), *there)
    assert {command: one["error"] for command, one in found.items()} == dict.fromkeys(found, error)
    assert gate.asked == []
    assert Registry(scene.other.address).names(TEAM) == []
    assert not out.exists()


def test_what_the_key_signed_is_taken(scene: Scene) -> None:
    scene.sign(scene.pushed)
    key, out, file = str(scene.folder / "ours.pub"), scene.folder / "out", scene.folder / "image.tar"
    required = ("--registry", scene.registry.host, "--require-signature", key)
    assert scene.pushed.pinned in scene.ask("render", "kubernetes", "1.0.0", *required)["manifests"]
    assert scene.ask("pull", "1.0.0", str(out), *required)["digest"] == scene.pushed.digest
    copied = scene.ask("copy", "1.0.0", f"{scene.other.host}/{TEAM}", *required)
    archive.export(scene.registry, replace(scene.pushed, digest=""), file, silent())
    there = ("--registry", scene.other.host, "--require-signature", key)
    (brought,) = scene.ask("import", str(file), "--repository", "team/again", *there)["images"]
    assert copied["digest"] == brought["digest"] == scene.pushed.digest
    broker = ("--amqp-url", "amqp://nobody.invalid/%2F", "--host")
    with Gate() as gate:
        assert scene.ask("deploy", "1.0.0", *required, *broker, gate.url)["error"] == "BrokerUnreachable"
        assert (
            scene.ask("deploy", "1.0.0", *required, *broker, gate.url, "--engine", "swarm")["error"] == "EngineFailed"
        )
    assert gate.asked
    for repository in (TEAM, "team/again"):
        again = ("--registry", scene.other.host, "--repository", repository, "--key", key)
        assert scene.ask("verify", "1.0.0", *again)["verified"]


def test_no_version_is_given_to_another_ones_image_nor_taken_from_it_whether_signed_or_not(scene: Scene) -> None:
    file = scene.folder / "image.tar"
    archive.export(scene.registry, replace(scene.pushed, digest=""), file, silent())
    here, there = ("--registry", scene.registry.host), ("--registry", scene.other.host, "--repository", TEAM)
    given = [
        scene.ask("copy", "1.0.0", f"{scene.other.host}/{TEAM}:2.0.0", *here),
        scene.ask("import", str(file), *there, "--tag", "2.0.0"),
    ]
    the_tag_was_moved(scene)
    given += [
        scene.ask("copy", "1.0.0", f"{scene.other.host}/{TEAM}", *here),
        scene.ask("pull", "1.0.0", str(scene.folder / "out"), *here),
    ]
    assert [one["error"] for one in given] == ["TagMoved"] * 4
    assert Registry(scene.other.address).names(TEAM) == []
    assert scene.ask("import", str(file), *there, "--tag", "candidate")["images"]
