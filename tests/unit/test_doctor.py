"""What `build-model doctor` says where something isn't there: nothing is needed to see that."""

import shutil
from pathlib import Path

import pytest

import model
from build_model.operation.doctor import LOCKS, Finding, State, Surroundings, examine

ROOT = Path(model.__file__).resolve().parent.parent
RELEASED = ROOT / "model" / "checkpoint"
NOWHERE = "127.0.0.1:1"
SECRET = "s3cret"


def findings(around: Surroundings, home: Path) -> dict[str, Finding]:
    """By what they are of."""
    environment = {"DOCKER_CONFIG": str(home), "XDG_CONFIG_HOME": str(home)}
    return {one.what: one for one in examine(around, environment)}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of a clone as is looked at."""
    root = tmp_path / "clone"
    for name in ("VERSION", "Dockerfile", "build/build_model/image/prune.py", "requirements/runtime.txt", *LOCKS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    return root


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{NOWHERE}")


def test_what_does_not_answer_is_a_failure_each_with_what_to_do_and_no_password(tmp_path: Path) -> None:
    around = Surroundings(ROOT, RELEASED, NOWHERE, "r", f"amqp://me:{SECRET}@{NOWHERE}/%2F")
    found = findings(around, tmp_path)
    failed = {what for what, one in found.items() if one.state is State.fail}
    assert failed == {"engine", "registry", "broker"}
    assert found["engine"].said.startswith("No Docker engine answers")
    assert "DOCKER_HOST" in found["engine"].mend
    assert "Check --registry" in found["registry"].mend
    assert f"amqp://me@{NOWHERE}" in found["broker"].said
    assert all(one.mend for one in found.values() if one.state is not State.ok)
    assert SECRET not in str(found)
    assert SECRET not in str(around)


def test_what_nobody_named_is_a_warning_that_says_how_to_name_it(tmp_path: Path) -> None:
    found = findings(Surroundings(ROOT, RELEASED), tmp_path)
    for what, option in (("registry", "DRAGOMAN_REGISTRY"), ("broker", "DRAGOMAN_AMQP_URL")):
        assert found[what].state is State.warn
        assert option in found[what].mend


def test_packages_that_are_missing_or_of_another_version_are_named(clone: Path, tmp_path: Path) -> None:
    assert findings(Surroundings(ROOT, RELEASED), tmp_path)["packages"].state is not State.fail
    lock = clone / LOCKS[0]
    lock.write_text("rich==0.0.1 \\\n    --hash=sha256:1d\n")
    other = findings(Surroundings(clone, RELEASED), tmp_path)["packages"]
    assert (other.state, other.mend) == (State.warn, "Run `make setup` in the clone.")
    assert "rich" in other.said
    assert "(0.0.1)" in other.said
    lock.write_text("no-such-package==1.0\n")
    missing = findings(Surroundings(clone, RELEASED), tmp_path)["packages"]
    assert (missing.state, missing.said) == (State.fail, "Not installed: no-such-package.")


def test_weights_that_do_not_belong_to_the_code_are_a_failure_that_names_the_file(clone: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(RELEASED, tmp_path / "checkpoint")
    with (checkpoint / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    found = findings(Surroundings(clone, checkpoint), tmp_path)["model"]
    assert found.state is State.fail
    assert "weights.safetensors" in found.said + found.mend


def test_a_folder_without_git_is_said_to_know_no_commit(clone: Path, tmp_path: Path) -> None:
    assert findings(Surroundings(clone, RELEASED), tmp_path)["commit"].state is State.warn
    (clone / ".git").mkdir()
    assert "commit" not in findings(Surroundings(clone, RELEASED), tmp_path)


def test_a_full_disk_is_a_failure_and_a_filling_one_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((10**8, State.fail), (10**9, State.warn), (10**10, State.ok)):
        usage = shutil.disk_usage(tmp_path)._replace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path, usage=usage: usage)
        found = findings(Surroundings(ROOT, RELEASED), tmp_path)["disk"]
        assert found.state is state
        assert (state is State.ok) == (not found.mend)


@pytest.mark.parametrize(
    ("config", "said"),
    [("{", "is not what Docker writes"), ('{"credsStore": "no-such-helper"}', "docker-credential-no-such-helper")],
)
def test_a_login_that_cannot_be_read_is_a_failure_of_its_own(tmp_path: Path, config: str, said: str) -> None:
    (tmp_path / "config.json").write_text(config)
    found = findings(Surroundings(ROOT, RELEASED, NOWHERE, "r"), tmp_path)["login"]
    assert found.state is State.fail
    assert said in found.said
    assert found.mend


@pytest.mark.parametrize("address", ["me:s3cret@registry.example", "ftp://registry.example"])
def test_an_address_that_cannot_be_right_is_said_without_what_may_be_secret(tmp_path: Path, address: str) -> None:
    found = findings(Surroundings(ROOT, RELEASED, address, "r"), tmp_path)
    assert found["registry"].state is State.fail
    assert "is not a registry's address" in found["registry"].said
    assert SECRET not in str(found)
