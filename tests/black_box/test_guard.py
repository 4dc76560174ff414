"""The guard: one thing changed, in the image or in the clone, and nothing starts and nothing is built."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fork import held, vouched_for
from images import BuildModel, Derive, Urls, Version

from build_model.engine import Engine
from build_model.operation import smoke
from build_model.report import silent
from model.fingerprint import architecture_hash, code_digests, file_digest

CHECKPOINT = Path("model/checkpoint")
MISMATCH = 78
SOURCE = held().source
LANG = next(name for name in vouched_for() if name.endswith(".lang.json"))

Change = Callable[[Path], tuple[Path, bytes]]


def add_constant(name: str) -> Change:
    """A constant more in a file of the model's code."""

    def change(root: Path) -> tuple[Path, bytes]:
        path = root / "model" / name
        return Path("model") / name, (path.read_bytes() if path.exists() else b"") + b"\nADDED = 1\n"

    return change


def add_comment(name: str) -> Change:
    """A comment more."""
    return lambda root: (Path("model") / name, b"# A comment.\n" + (root / "model" / name).read_bytes())


def flip_bit(root: Path) -> tuple[Path, bytes]:
    """The last bit of the weights flipped."""
    content = bytearray((root / CHECKPOINT / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    return CHECKPOINT / "weights.safetensors", bytes(content)


def truncate_lang(root: Path) -> tuple[Path, bytes]:
    """Half a vocabulary."""
    content = (root / CHECKPOINT / LANG).read_bytes()
    return CHECKPOINT / LANG, content[: len(content) // 2]


def change_golden(root: Path) -> tuple[Path, bytes]:
    """Another translation in the first golden."""
    first, *others = (root / CHECKPOINT / "golden.jsonl").read_text("utf-8").splitlines()
    changed = json.dumps({**json.loads(first), "target": "Something else."}, ensure_ascii=False)
    return CHECKPOINT / "golden.jsonl", ("\n".join([changed, *others]) + "\n").encode()


def widen_config(root: Path) -> tuple[Path, bytes]:
    """A config that builds other tensors, with an architecture hash that holds for it."""
    manifest: dict[str, Any] = json.loads((root / CHECKPOINT / "manifest.json").read_text("utf-8"))
    field = next(name for name in ("width", "hidden_size", *manifest["config"]) if name in manifest["config"])
    manifest["config"][field] *= 2
    manifest["architecture"] = architecture_hash(manifest["code"], manifest["config"], manifest["tensors"])
    return CHECKPOINT / "manifest.json", json.dumps(manifest).encode()


CHANGES = [
    pytest.param(add_constant("network/architecture.py"), "network/architecture.py", id="constant in architecture.py"),
    pytest.param(add_constant("network/vocabulary.py"), "network/vocabulary.py", id="constant in vocabulary.py"),
    pytest.param(add_constant("network/normalize.py"), "network/normalize.py", id="constant in normalize.py"),
    pytest.param(add_constant("segment.py"), "segment.py", id="constant in segment.py"),
    pytest.param(add_constant("network/rules.py"), "network/rules.py", id="new file beside them"),
    pytest.param(widen_config, "config", id="config of other tensors"),
    pytest.param(flip_bit, "weights.safetensors", id="flipped bit"),
    pytest.param(truncate_lang, LANG, id="truncated vocabulary"),
    pytest.param(change_golden, "golden.jsonl", id="changed golden"),
]


@pytest.mark.parametrize(("change", "named"), CHANGES)
def test_the_service_in_the_image_ends_with_78_and_names_what_differs(
    released: Version, engine: Engine, derive: Derive, tmp_path: Path, change: Change, named: str
) -> None:
    for path in (*(f"model/{name}" for name in code_digests(SOURCE)), *checkpoint_files()):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        inside = f"/opt/dragoman/{path}"
        (tmp_path / path).write_bytes(engine.read_files(released.reference, [inside])[inside])
    path, content = change(tmp_path)
    image = derive(released.reference, {f"opt/dragoman/{path}": content})
    # No network, and the default broker: a connection attempt would be made for ever, or end with 69.
    outcome = engine.run_to_end(image, ("python3", "-m", "service"), network="none", seconds=120)
    assert outcome.exit_code == MISMATCH, outcome.log
    assert named in outcome.log
    assert "connect" not in outcome.log.lower()


@pytest.mark.parametrize(("change", "named"), CHANGES)
def test_build_model_refuses_and_names_what_differs(
    clone: Path, engine: Engine, build_model: BuildModel, change: Change, named: str
) -> None:
    path, content = change(clone)
    (clone / path).write_bytes(content)
    ran = build_model("--version", "9.9.9", "--repository", "dragoman/refused", "--json", root=clone)
    assert ran.exit_code == MISMATCH, ran.stdout + ran.stderr
    assert named in ran.object["message"]
    assert not (clone / "artifacts").exists()
    assert engine.image("dragoman/refused:9.9.9") is None


def test_a_golden_that_the_model_does_not_translate_so_is_refused_whatever_the_manifest_says(
    clone: Path, engine: Engine, build_model: BuildModel
) -> None:
    path, content = change_golden(clone)
    (clone / path).write_bytes(content)
    manifest = json.loads((clone / CHECKPOINT / "manifest.json").read_text("utf-8"))
    manifest["golden"] = file_digest(clone / path)
    (clone / CHECKPOINT / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    ran = build_model("--version", "9.9.9", "--json", root=clone)
    assert ran.exit_code == MISMATCH
    assert ran.object["error"] == "GoldenMismatch"
    assert "Something else." in ran.object["message"]


def test_an_image_without_goldens_fails_its_smoke_test_before_it_is_started(
    released: Version, engine: Engine, derive: Derive, urls: Urls
) -> None:
    image = derive(released.reference, {f"opt/dragoman/{CHECKPOINT}/golden.jsonl": b""})
    with pytest.raises(smoke.SmokeFailed, match="has no goldens"):
        smoke.run(smoke.Trial(image, urls.container, urls.client, "bridge"), engine, silent())


def test_a_comment_more_changes_nothing(clone: Path, engine: Engine, build_model: BuildModel) -> None:
    for name in (name for name in code_digests(SOURCE) if name.endswith(".py")):
        path, content = add_comment(name)(clone)
        (clone / path).write_bytes(content)
    ran = build_model("--version", "9.9.9", "--dry-run", "--json", root=clone)
    assert ran.exit_code == 0, ran.stdout


def checkpoint_files() -> list[str]:
    """The released checkpoint's files."""
    return [str(CHECKPOINT / name) for name in vouched_for()]
