"""The runtime image: what its name depends on, and the locks that it is made from."""

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from build_model.image import runtime
from build_model.image.base import Base
from build_model.report import silent

ROOT = Path(__file__).resolve().parents[2]
BASE = Base("debian:slim", "sha256:1d", "sha256:d1")
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the files that decide the runtime image."""
    for name in ("Dockerfile", runtime.PRUNE, *runtime.LOCKS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def append(root: Path, name: str, text: str) -> None:
    with (root / name).open("a") as file:
        file.write(text)


@pytest.mark.parametrize("name", [*runtime.LOCKS, runtime.PRUNE])
def test_its_key_follows_every_file_that_it_is_made_from(root: Path, name: str) -> None:
    before = runtime.decide(BASE, root).key
    append(root, name, "\n# changed\n")
    assert runtime.decide(BASE, root).key != before


def test_its_key_follows_the_base(root: Path) -> None:
    other = Base(BASE.name, BASE.image_id, "sha256:d2")
    assert runtime.decide(other, root).key != runtime.decide(BASE, root).key


def test_its_key_follows_its_instructions(root: Path) -> None:
    before = runtime.decide(BASE, root).key
    dockerfile = root / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("LANG=C.UTF-8", "LANG=fr_FR.UTF-8"))
    assert runtime.decide(BASE, root).key != before


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: f"# A comment.\n\n{text}",
        lambda text: text.replace("ARG RUNTIME", "# Another comment.\nARG RUNTIME"),
        lambda text: f"{text}\nENV ONLY_IN=the-model-stage\n",
    ],
    ids=["comment", "comment before the model stage", "model stage"],
)
def test_its_key_ignores_what_does_not_go_into_it(root: Path, edit: Callable[[str], str]) -> None:
    before = runtime.decide(BASE, root)
    dockerfile = root / "Dockerfile"
    dockerfile.write_text(edit(dockerfile.read_text()))
    assert runtime.decide(BASE, root) == before


def test_its_dockerfile_ends_before_the_model_stage(root: Path) -> None:
    stage = runtime.decide(BASE, root).stage
    assert re.findall(r"^FROM .*$", stage, re.MULTILINE) == ["FROM ${BASE} AS wheels", "FROM ${BASE} AS runtime"]


def test_wheels_that_pip_cannot_fetch_are_one_clear_error(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(runtime.WheelsUnavailable, match=r"(?s)requirements/runtime\.txt.*No matching.*pip config list"):
        runtime.wheelhouse(root, tmp_path / "wheels", silent())


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / "requirements" / name).read_text()))


def test_the_image_gets_the_versions_that_the_tests_run_with() -> None:
    image, development = pins("runtime.txt"), pins("dev.txt")
    assert {name: development[name] for name in image if name != "pip"} == {
        name: version for name, version in image.items() if name != "pip"
    }


def test_the_lock_and_the_package_name_the_same_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"torch=={pins('torch.txt')['torch'].removesuffix('+cpu')}" in project["dependencies"]
