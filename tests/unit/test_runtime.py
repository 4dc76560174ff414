"""The runtime image: what its name depends on, and the locks that it is made from."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from build_model.image import runtime, wheels
from build_model.image.base import Base
from build_model.image.runtime import Recipe, Runtime
from build_model.report import silent

ROOT = Path(__file__).resolve().parents[2]
BASE = Base("debian:slim", "sha256:1d", "sha256:d1")
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the files that decide the runtime image."""
    for name in ("Dockerfile", runtime.PRUNE, *wheels.LOCKS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def decided(root: Path) -> Runtime:
    """The runtime image of these files on BASE."""
    return runtime.decide(BASE, Recipe.read(root))


def append(root: Path, name: str, text: str) -> None:
    with (root / name).open("a") as file:
        file.write(text)


@pytest.mark.parametrize("name", [*wheels.LOCKS, runtime.PRUNE])
def test_its_key_follows_every_file_that_it_is_made_from(root: Path, name: str) -> None:
    before = decided(root).key
    append(root, name, "\n# changed\n")
    assert decided(root).key != before


def test_its_key_follows_the_base(root: Path) -> None:
    other = Base(BASE.name, BASE.image_id, "sha256:d2")
    assert runtime.decide(other, Recipe.read(root)).key != decided(root).key


def test_its_key_follows_its_instructions(root: Path) -> None:
    before = decided(root).key
    dockerfile = root / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("LANG=C.UTF-8", "LANG=fr_FR.UTF-8"))
    assert decided(root).key != before


def test_its_key_ignores_comments_and_blank_lines(root: Path) -> None:
    before = decided(root)
    dockerfile = root / "Dockerfile"
    dockerfile.write_text(f"# A comment.\n\n{dockerfile.read_text()}")
    assert decided(root) == before


def test_its_config_says_how_it_runs_and_nothing_of_the_engine_that_built_it(root: Path) -> None:
    held = {
        "User": "10001:10001",
        "Env": ["A=1"],
        "Hostname": "3f2a",
        "Image": "sha256:parent",
        "Labels": None,
        "Cmd": ["x"],
    }
    one = {
        "Config": held,
        "RootFS": {"Layers": ["sha256:a", "sha256:b"]},
        "Created": "2026-01-01",
        "DockerVersion": "20",
    }
    other = {**one, "Config": {**held, "Hostname": "other"}, "Created": "2027-01-01", "Id": "sha256:x"}
    unasked = Recipe("FROM scratch\n", "sha256:r")
    config = runtime.config_of(decided(root), unasked, one)
    assert config == runtime.config_of(decided(root), unasked, other)
    assert config["config"] == {"User": "10001:10001", "Env": ["A=1"], "Cmd": ["x"], "Labels": decided(root).labels}
    assert config["rootfs"]["diff_ids"] == ["sha256:a", "sha256:b"]
    assert len(config["history"]) == 2
    assert runtime.of_labels(config["config"]["Labels"]) == decided(root)


def test_how_it_is_asked_for_its_health_is_the_recipes_where_the_engine_says_nothing(root: Path) -> None:
    told = {
        "Test": ["CMD", "python3", "-m", "service", "health"],
        "Interval": 10_000_000_000,
        "Timeout": 5_000_000_000,
        "StartPeriod": 60_000_000_000,
        "Retries": 3,
    }
    silent_engine = {"Config": {"Cmd": ["x"]}, "RootFS": {"Layers": ["sha256:a"]}}
    docker = {**silent_engine, "Config": {"Cmd": ["x"], "Healthcheck": told}}
    recipe = Recipe.read(root)
    assert runtime.config_of(decided(root), recipe, silent_engine) == runtime.config_of(decided(root), recipe, docker)
    assert runtime.config_of(decided(root), recipe, docker)["config"]["Healthcheck"] == told


def test_wheels_that_pip_cannot_fetch_are_one_clear_error(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(wheels.WheelsUnavailable, match=r"(?s)requirements/runtime\.txt.*No matching.*pip config list"):
        wheels.wheelhouse(root, tmp_path / "wheels", silent())


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
