"""What `docker login` stored, and what is said of it where it can't be read. Never the secret."""

import base64
import json
import stat
from pathlib import Path

import pytest

from build_model.image.login import Login, LoginUnreadable, stored

HOST = "registry.example:5000"
SECRET = "s3cret"


def config(folder: Path, content: object) -> dict[str, str]:
    """An environment in which Docker's config holds this."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "config.json").write_text(text)
    return {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:/usr/bin:/bin"}


def helper(folder: Path, script: str) -> None:
    """``docker-credential-tests``."""
    program = folder / "docker-credential-tests"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": auth(f"me:{SECRET}:x")}, Login("me", f"{SECRET}:x")),
        ({"username": "me", "password": SECRET}, Login("me", SECRET)),
        ({"auth": auth("me:"), "identitytoken": SECRET}, Login(identity_token=SECRET)),
        ({}, None),
    ],
)
def test_an_entry_is_a_name_and_a_password_or_a_token(
    tmp_path: Path, entry: dict[str, str], expected: Login | None
) -> None:
    assert stored(HOST, config(tmp_path, {"auths": {HOST: entry}})) == expected


def test_a_login_shows_no_secret() -> None:
    assert SECRET not in repr(Login("me", SECRET, SECRET))


def test_without_a_config_or_an_entry_nobody_is_logged_in(tmp_path: Path) -> None:
    assert stored(HOST, {"DOCKER_CONFIG": str(tmp_path / "none")}) is None
    assert stored(HOST, config(tmp_path, {"auths": {"other.example": {"auth": auth("a:b")}}})) is None


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io"])
def test_docker_hubs_login_is_found_under_each_of_its_names(tmp_path: Path, key: str) -> None:
    assert stored("docker.io", config(tmp_path, {"auths": {key: {"auth": auth("me:x")}}})) == Login("me", "x")


def test_a_helper_is_asked_for_docker_hub_by_the_name_it_files_it_under(tmp_path: Path) -> None:
    script = f"""[ "$(cat)" = https://index.docker.io/v1/ ] && echo '{{"Username": "me", "Secret": "{SECRET}"}}'"""
    helper(tmp_path, script)
    assert stored("docker.io", config(tmp_path, {"credsStore": "tests"})) == Login("me", SECRET)


def test_a_helper_that_has_nothing_leaves_it_to_the_entries(tmp_path: Path) -> None:
    helper(tmp_path, "echo credentials not found in native keychain; exit 1")
    held = {"credsStore": "tests", "auths": {HOST: {"auth": auth("me:x")}}}
    assert stored(HOST, config(tmp_path, held)) == Login("me", "x")
    del held["auths"]
    assert stored(HOST, config(tmp_path, held)) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"auths": {', r"config\.json is not what Docker writes \(line 1"),
        ("[]", "expected an object"),
        ({"auths": []}, None),
        ({"auths": ["x"]}, "auths is not an object"),
        ({"credHelpers": "ecr"}, "credHelpers is not an object"),
        ({"auths": {HOST: SECRET}}, "the entry for .* is not an object"),
        ({"auths": {HOST: {"auth": SECRET}}}, "no USER:PASSWORD in base64"),
        ({"auths": {HOST: {"auth": auth(SECRET)}}}, "no USER:PASSWORD in base64"),
        ({"credsStore": "none-such"}, "docker-credential-none-such keeps the login .* no such program on the PATH"),
    ],
)
def test_a_broken_config_is_said_to_be_so(tmp_path: Path, content: object, said: str | None) -> None:
    environment = config(tmp_path, content)
    if said is None:
        assert stored(HOST, environment) is None
        return
    with pytest.raises(LoginUnreadable, match=said) as error:
        stored(HOST, environment)
    assert SECRET not in str(error.value)
    assert "docker login" in str(error.value)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo the keychain is locked >&2; exit 1", "gives no login: the keychain is locked"),
        ("exit 3", "it ended with 3"),
        (f"echo {SECRET}", "its answer has no Username and Secret"),
        (f"""echo '{{"username": "me", "secret": "{SECRET}"}}'""", "its answer has no Username and Secret"),
    ],
)
def test_a_helper_that_fails_is_said_to_do_so(tmp_path: Path, script: str, said: str) -> None:
    helper(tmp_path, script)
    with pytest.raises(LoginUnreadable, match=said) as error:
        stored(HOST, config(tmp_path, {"credHelpers": {HOST: "tests"}}))
    assert SECRET not in str(error.value)
