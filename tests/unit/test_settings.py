"""Settings from files: which counts, what is refused, what `build-model config` says; and completion in real shells."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from build_model.cli.options import REPOSITORY

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder inside a project, and the user's settings beside it."""
    folder = tmp_path / "project" / "folder"
    folder.mkdir(parents=True)
    (tmp_path / "config" / "dragoman").mkdir(parents=True)
    return folder


@pytest.fixture
def run(project: Path, tmp_path: Path) -> Run:
    """Runs `build-model` in the project, with no settings in the environment but those given."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
        given = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "DOCKER_HOST": "tcp://127.0.0.1:1"} | environment
        command = [sys.executable, "-m", "build_model", *arguments]
        return subprocess.run(
            command, cwd=project, env=inherited | given, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def held(ran: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    """What `config --json` says."""
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return {name: (one["value"], one["origin"]) for name, one in json.loads(ran.stdout)["settings"].items()}


def user_file(project: Path) -> Path:
    return project.parents[1] / "config" / "dragoman" / "config.toml"


def test_the_users_file_comes_before_the_projects_and_the_environment_before_both(run: Run, project: Path) -> None:
    file = project.parent / "dragoman.toml"
    file.write_text('registry = "one:1"\nqueue = "projects"\nname = "projects"\n')
    user_file(project).write_text('queue = "users"\nname = "users"\n')
    found = held(run("config", "--json", DRAGOMAN_NAME="environments"))
    assert found["registry"] == ("one:1", str(file))
    assert found["queue"] == ("users", str(user_file(project)))
    assert found["name"] == ("environments", "DRAGOMAN_NAME")
    assert found["repository"] == (REPOSITORY, "default")


def test_what_config_says_is_what_commands_use_and_an_option_comes_before_it(run: Run, project: Path) -> None:
    (project / "dragoman.toml").write_text('registry = "127.0.0.1:1"\n')
    assert "127.0.0.1:1" in run("inspect", "1.0.0").stderr
    assert "127.0.0.1:2" in run("inspect", "1.0.0", DRAGOMAN_REGISTRY="127.0.0.1:2").stderr
    assert "127.0.0.1:3" in run("inspect", "1.0.0", "--registry", "127.0.0.1:3").stderr


def test_pyproject_holds_them_too_and_one_without_them_is_passed_over(run: Run, project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nname = "other"\n')
    (project.parent / "pyproject.toml").write_text(
        '[tool.dragoman]\nqueue = "mine"\n[tool.dragoman.deploy]\nreplicas = 3\n'
    )
    found = held(run("config", "--json"))
    assert found["queue"] == ("mine", str(project.parent / "pyproject.toml"))
    assert found["deploy.replicas"] == ("3", str(project.parent / "pyproject.toml"))


def test_commands_that_speak_to_the_broker_take_the_address_that_they_can_reach(run: Run, project: Path) -> None:
    text = 'amqp-url = "amqp://broker/%2F"\nclient-amqp-url = "amqp://127.0.0.1:9/%2F"\n'
    (project / "dragoman.toml").write_text(text)
    assert "127.0.0.1:9" in run("quarantine", "list").stderr


def test_no_password_of_a_file_or_of_the_environment_is_shown(run: Run, project: Path) -> None:
    text = 'amqp-url = "amqp://user:secret@broker/%2F"\nregistry = "user:secret@host"\n[deploy]\nenv = ["KEY=secret"]\n'
    (project / "dragoman.toml").write_text(text)
    for arguments in (("config",), ("config", "--json")):
        ran = run(*arguments, DRAGOMAN_CLIENT_AMQP_URL="amqp://user:pre/secret@host")
        assert "secret" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('registri = "secret"', "Did you mean registry?"),
        ("[deplou]\nreplicas = 1", "Did you mean deploy?"),
        ("[deploy]\nreplica = 1", "Did you mean replicas?"),
        ('[deploy]\nreplicas = "secret"', "deploy.replicas"),
        ("[deploy]\nreplicas = 0", "deploy.replicas"),
        ("[deploy]\nreplicas = true", "deploy.replicas"),
        ('[deploy]\nenv = "KEY=secret"', "a list of"),
        ('[deploy]\njson = "secret"', "true or false"),
        ("queue = 1979-05-27", "queue"),
        ("deploy = 3", "no setting"),
        ('name = "a secret"', "name"),
        ("queue = secret", "line 1"),
    ],
)
def test_what_no_command_understands_is_one_line_that_names_the_file_and_repeats_no_value(
    run: Run, project: Path, text: str, said: str
) -> None:
    user_file(project).write_text(text)
    for arguments in (("config",), ("status", "--json")):
        ran = run(*arguments)
        assert ran.returncode == 1
        assert said in ran.stdout + ran.stderr
        assert str(user_file(project)) in ran.stdout + ran.stderr
        assert "secret" not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        (
            "bash",
            'COMP_WORDS=(build-model quara); COMP_CWORD=1; _build_model_completion build-model; echo "${COMPREPLY[@]}"',
        ),
        ("fish", 'complete --do-complete "build-model quara"'),
        ("zsh", "_TYPER_COMPLETE_ARGS='build-model quara' _BUILD_MODEL_COMPLETE=complete_zsh build-model"),
    ],
)
def test_a_shell_completes_commands(shell: str, asked: str, run: Run, project: Path, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    user_file(project).write_text('registri = "x"')  # no reason to complete nothing
    script = run(_BUILD_MODEL_COMPLETE=f"source_{shell}")
    assert script.returncode == 0
    command = tmp_path / "bin" / "build-model"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m build_model "$@"\n')
    command.chmod(0o755)
    start = "autoload -Uz compinit && compinit -D\n" if shell == "zsh" else ""
    (tmp_path / "completion").write_text(start + script.stdout)
    environment = os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    ran = subprocess.run(
        [program, "-c", f"source {tmp_path / 'completion'}; {asked}"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "quarantine" in ran.stdout, ran.stderr


def test_the_containers_network_is_not_taken_for_the_folder_of_a_network(run: Run, project: Path) -> None:
    (project / "dragoman.toml").write_text('network = "host"\nrepository = "me/model"\n')
    found = held(run("config", "--json"))
    assert found["network"][0] == "host"
    assert "holds: vocabularies" in run("check").stdout  # model/network, not a folder called host
