"""What `build-model doctor` says of a real registry: who is let in, who may push, what is there."""

import base64
import json
from pathlib import Path

import pytest

import model
from build_model.image.registry import Registry
from build_model.operation.doctor import Finding, State, Surroundings, examine

from .conftest import Start
from .node import PASSWORD, USER, RegistryNode, Tokens

ROOT = Path(model.__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


def findings(address: str, repository: str, home: Path, config: object) -> dict[str, Finding]:
    """By what they are of, for somebody with this Docker config."""
    (home / "config.json").write_text(json.dumps(config))
    around = Surroundings(ROOT, ROOT / "model" / "checkpoint", address, repository)
    return {one.what: one for one in examine(around, {"DOCKER_CONFIG": str(home), "XDG_CONFIG_HOME": str(home)})}


def logged_in(node: RegistryNode, password: str = PASSWORD) -> dict[str, object]:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    return {"auths": {node.host: {"auth": auth}}}


def test_an_open_registry_without_a_runtime_image_says_that_the_first_push_makes_it(
    start: Start, tmp_path: Path
) -> None:
    node = start()
    found = findings(node.address, "me/fra-eng", tmp_path, {})
    assert found["login"].said == f"at {node.host} as nobody"
    assert found["registry"].said == f"{node.host} has 0 version(s) of me/fra-eng"
    assert (found["push"].state, found["runtime image"].state) == (State.ok, State.warn)
    assert "with the engine" in found["runtime image"].mend


def test_a_registry_that_wants_a_login_fails_without_one_and_with_a_wrong_one(start: Start, tmp_path: Path) -> None:
    node = start(login=True)
    for config, who in (({}, "nobody is logged in there"), (logged_in(node, "wr0ng"), f"logged in as {USER}")):
        found = findings(node.address, "me/fra-eng", tmp_path, config)
        assert found["registry"].state is State.fail
        assert who in found["registry"].said
        assert f"docker login {node.host}" in found["registry"].mend
        assert "wr0ng" not in str(found)
    found = findings(node.address, "me/fra-eng", tmp_path, logged_in(node))
    assert found["login"].said == f"at {node.host} as {USER}"
    assert found["push"].state is State.ok
    assert PASSWORD not in str(found)


def test_whoever_may_read_and_not_write_is_told_so(start: Start, tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    with Tokens(tmp_path / "tokens", allowed="me/", reads="others/") as tokens:
        node = start(tokens=tokens)
        found = findings(node.address, "others/fra-eng", tmp_path, logged_in(node))
        assert found["registry"].state is State.ok
        assert found["push"].state is State.warn
        assert "refuses access" in found["push"].said
        assert "docker login" in found["push"].mend
        assert findings(node.address, "me/fra-eng", tmp_path, logged_in(node))["push"].state is State.ok


def test_looking_leaves_no_image_and_no_blob_in_the_registry(start: Start, tmp_path: Path) -> None:
    """Of an upload that was cancelled docker-registry 2.8 keeps how far it was, until it purges such things."""
    node = start()
    findings(node.address, "me/fra-eng", tmp_path, {})
    files = [path for path in node.data.rglob("*") if path.is_file() and "_uploads" not in path.parts]
    assert files == []
    assert Registry(node.address).tags("me/fra-eng") == []
