"""The command line: what it prints without doing anything, and how it says what is wrong."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner, Result

from build_model.cli import app as cli
from build_model.cli import references, start
from build_model.image.artifact import GoldensMissing, check
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.report import silent
from build_model.store.archive import FileRefused, export
from model.checkpoint import RELEASED, save_checkpoint
from model.errors import NetworkInvalid
from model.fingerprint import verify
from model.folder import load_model

NOBODY = "127.0.0.1:1"
COMMANDS = (
    *("base", "deploy", "evaluate", "history", "inspect", "prune", "restamp", "rollback"),
    *("compatible", "copy", "diff", "export", "import", "list", "promote", "pull"),
    *("smoke", "status", "train", "translate", "unlock"),
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``build-model``, with no engine to be found."""
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{NOBODY}")
    for name in ("DRAGOMAN_REGISTRY", "DRAGOMAN_AMQP_URL", "DRAGOMAN_CLIENT_AMQP_URL"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "120", "NO_COLOR": "1"})


def test_bare_it_prints_help_that_names_every_command(run: Callable[..., Result]) -> None:
    result = run()
    assert result.exit_code == 0
    assert set(COMMANDS) <= set(re.findall(r"[a-z]+", result.stdout))
    assert "build-model --version 1.0.0" in result.stdout


@pytest.mark.parametrize(
    "command", [*COMMANDS, "quarantine list", "quarantine requeue", "quarantine purge", "render kubernetes"]
)
def test_every_command_explains_itself_and_its_options(run: Callable[..., Result], command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


@pytest.mark.parametrize("command", sorted(start.QUICK))
def test_a_command_that_starts_alone_is_there_alone_and_among_all(run: Callable[..., Result], command: str) -> None:
    alone = CliRunner().invoke(start.alone(start.QUICK[command]), [command, "--help"], env={"NO_COLOR": "1"})
    assert alone.exit_code == run(command, "--help").exit_code == 0


@pytest.mark.parametrize("module", sorted(set(start.QUICK.values())))
def test_what_answers_from_the_registry_loads_no_engine_no_broker_and_no_torch(module: str) -> None:
    code = (
        f"import sys; from build_model.cli import start; start.alone({module!r}); "
        "print(sorted({'docker', 'pika', 'torch', 'numpy'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "[]\n", ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--version", "1.0.0", "--repository", "Bad Repo"), "--repository"),
        (("status", "--name", "a b"), "--name"),
        (("evaluate", "--test", "/nowhere", "--output", "/no/such/folder/file"), "--output"),
        (("evaluate", "--test", "/nowhere", "--output", "/"), "--output"),
        (("translate", "\udcff\udcfe", "--amqp-url", f"amqp://{NOBODY}"), "UTF-8"),
        (("deploy", "1.0.0", "--queue", "", "--registry", NOBODY, "--amqp-url", f"amqp://{NOBODY}"), "a queue's name"),
    ],
)
def test_an_argument_that_can_t_be_right_is_refused_before_anything_is_done(
    run: Callable[..., Result], arguments: tuple[str, ...], named: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert named in result.stderr


def test_a_checkpoint_without_goldens_becomes_no_image(tmp_path: Path) -> None:
    small = Path(__file__).parents[1] / "small"
    model = load_model(small)
    langs = model.vocabulary.build("fra", ["Je vais dormir."], 400), model.vocabulary.build("eng", ["I sleep."], 400)
    save_checkpoint(model.network(model.config(len(langs[0]), len(langs[1]))), langs, tmp_path, code=small)
    with pytest.raises(GoldensMissing, match="no golden sentences"):
        check(tmp_path, small)


def test_a_version_that_is_none_is_refused_before_anything_is_asked(run: Callable[..., Result]) -> None:
    result = run("--version", "1.0")
    assert result.exit_code == 1
    assert "VersionInvalid: '1.0' is not a version" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("status",), "EngineUnavailable"),
        (("unlock",), "EngineUnavailable"),
        (("rollback",), "EngineUnavailable"),
        (("--version", "1.0.0"), "EngineUnavailable"),
        (("smoke", "dragoman/fra-eng:1.0.0", "--amqp-url", f"amqp://{NOBODY}"), "EngineUnavailable"),
        (("inspect", "dragoman/fra-eng:1.0.0"), "EngineUnavailable"),
        (("inspect", f"{NOBODY}/dragoman/fra-eng:1.0.0"), "RegistryUnreachable"),
        (("inspect", "1.0.0", "--registry", NOBODY), "RegistryUnreachable"),
        (("deploy", "1.0.0", "--registry", NOBODY, "--amqp-url", f"amqp://{NOBODY}"), "RegistryUnreachable"),
        (("deploy", "v1.0", "--registry", NOBODY, "--amqp-url", f"amqp://{NOBODY}"), "VersionInvalid"),
        (("translate", "Bonjour.", "--amqp-url", f"amqp://{NOBODY}"), "BrokerUnreachable"),
        (("quarantine", "list", "--amqp-url", f"amqp://{NOBODY}"), "BrokerUnreachable"),
        (("quarantine", "requeue", "--amqp-url", f"amqp://{NOBODY}"), "BrokerUnreachable"),
        (("quarantine", "purge", "--yes", "--amqp-url", f"amqp://{NOBODY}"), "BrokerUnreachable"),
        (("translate", "Bonjour.", "--checkpoint", "/nowhere"), "CheckpointFormatError"),
    ],
)
def test_what_cannot_be_reached_or_found_is_one_line_and_one_object(
    run: Callable[..., Result], arguments: tuple[str, ...], error: str
) -> None:
    spoken, machine = run(*arguments), run(*arguments, "--json")
    assert spoken.exit_code == machine.exit_code != 0
    assert spoken.stdout == ""
    assert spoken.stderr.startswith(f"{error}: ")
    assert spoken.stderr.count("\n") == 1
    assert json.loads(machine.stdout)["error"] == error
    assert json.loads(machine.stdout)["message"] == spoken.stderr.removeprefix(f"{error}: ").rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--version", "1.0.0", "--push"), "say where to"),
        (("--version", "1.0.0", "--train"), "say how long"),
        (("--version", "1.0.0", "--train", "--epochs", "1"), "--train and --corpus go together"),
        (("--version", "1.0.0", "status"), "doesn't go with status"),
        (("translate", "Bonjour."), "say whom to ask"),
        (("deploy", "1.0.0", "--registry", NOBODY, "--amqp-url", "amqp://x", "--env", "MAX"), "expected NAME=VALUE"),
        (("deploy", "1.0.0", "--registry", NOBODY), "--amqp-url"),
    ],
)
def test_options_that_say_nothing_together_are_refused(
    run: Callable[..., Result], arguments: tuple[str, ...], hint: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert hint in " ".join(result.stderr.split())


def test_a_checkpoint_that_is_not_there_is_named(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("--version", "1.0.0", "--checkpoint", str(tmp_path / "none"))
    assert result.exit_code != 0
    assert result.stderr.count("\n") <= 2


@pytest.mark.parametrize(
    ("text", "registry", "expected"),
    [
        ("1.0.0", "http://10.0.0.1:5000", "10.0.0.1:5000/dragoman/fra-eng:1.0.0"),
        ("1.0.0", "", "dragoman/fra-eng:1.0.0"),
        ("other/name:2.0.0", NOBODY, f"{NOBODY}/other/name:2.0.0"),
        ("ghcr.io/other/name:2.0.0", "", "ghcr.io/other/name:2.0.0"),
    ],
)
def test_an_image_is_named_by_version_or_by_reference(text: str, registry: str, expected: str) -> None:
    assert str(references.reference_of(text, registry, "dragoman/fra-eng")) == expected


@pytest.mark.parametrize(
    "url",
    [
        "amqp://u:secret@[::1/%2F",
        "amqps://u:secret@localhost/?ssl_options={garbage",
        "amqps://u:secret@localhost/?ssl_options=[1]",
        "amqps://u:secret@localhost/?ssl_options={'cafile':'/no/such/file'}",
        "amqp://u:secret@localhost/\udcff",
        "amqp://u:pre/secret@localhost:5672/%2F",
        "amqp://u:12#secret@localhost:5672/%2F",
        "u:secret@localhost:5672/%2F",
        "amqp://u:secret@one,two/%2F",
    ],
)
def test_a_url_that_cannot_be_used_is_one_line_without_the_password(run: Callable[..., Result], url: str) -> None:
    result = run("quarantine", "list", "--amqp-url", url)
    assert result.exit_code == 1
    assert "can't be used" in result.output
    assert "secret" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--queue", ""),
        ("--queue", "x" * 300),
        ("--queue", "\udcff"),
        ("--reply-to", ""),
        ("--reply-to", "rpc_queue"),
        ("--reply-to", "amq.rabbitmq.reply-to"),
    ],
)
def test_a_name_that_no_queue_can_have_is_refused(run: Callable[..., Result], arguments: tuple[str, str]) -> None:
    assert run("quarantine", "requeue", "--amqp-url", f"amqp://{NOBODY}", *arguments).exit_code == 2


def test_what_only_training_needs_is_named_where_it_is_missing(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['sacrebleu'] = None; from build_model.__main__ import main; "
        f"sys.argv = ['build-model', 'evaluate', '--test', {str(tmp_path / 'test.jsonl')!r}]; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (
        1,
        "ToolsMissing: sacrebleu isn't installed, which this command needs. "
        "Install it: `make setup` in a clone, else pip install 'dragoman[training]'.\n",
    )


def test_ctrl_c_before_anything_is_imported_is_one_line() -> None:
    # The interrupt comes while the command line is imported, which takes about a second.
    code = (
        "import signal, sys, threading, os, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), os.kill(os.getpid(), signal.SIGINT))).start()\n"
        "sys.argv = ['build-model', 'status']\n"
        "from build_model.__main__ import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 130
    assert ran.stderr == "Interrupted: stopped by Ctrl-C; running it again is safe.\n"


def test_ctrl_c_is_one_line_and_130() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"amqp://127.0.0.1:{silent.getsockname()[1]}"
        # A shell makes what it starts in the background deaf to it, and so perhaps these tests.
        hearing = ["env", "--default-signal=INT"]
        command = [*hearing, sys.executable, "-m", "build_model", "quarantine", "list", "--amqp-url", url]
        ran = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, process_group=0)
        silent.accept()  # it waits for an answer now
        ran.send_signal(signal.SIGINT)
        _, said = ran.communicate(timeout=30)
    assert ran.returncode == 130
    assert said == "Interrupted: stopped by Ctrl-C; running it again is safe.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list",), "--registry"),
        (("deploy", "1.0.0", "--replicas", "0"), "--replicas"),
        (("nosuch",), "nosuch"),
        (("list", "--bogus"), "--bogus"),
        (("translate", "Bonjour"), "--amqp-url"),
        (("quarantine", "purge", "--amqp-url", f"amqp://{NOBODY}"), "--yes"),
    ],
)
def test_misuse_is_an_object_too_where_a_script_asked_for_one(
    run: Callable[..., Result], arguments: tuple[str, ...], said: str
) -> None:
    result = run(*arguments, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["exit_code"], told["error"]) == (2, 2, "Misused")
    assert said in told["message"]
    assert "--help` says" in told["message"]


@pytest.mark.parametrize("host", ["tcp://me:SECRET@h:1", "ssh://me:SECRET@h", "me:SECRET@h"])
def test_an_engines_address_with_a_password_is_refused_and_not_shown(run: Callable[..., Result], host: str) -> None:
    result = run("status", "--host", host, "--json")
    assert result.exit_code == 1
    assert "SECRET" not in result.output
    assert "tcp://HOST:PORT" in json.loads(result.stdout)["message"]


def test_a_folder_that_is_no_network_is_told_from_another_network(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("SECRET")
    with pytest.raises(NetworkInvalid, match="is no network's folder"):
        verify(RELEASED, tmp_path)


def test_what_the_system_refuses_is_said_in_words(run: Callable[..., Result], tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.txt"
    result = run("translate", "--input", str(missing), "--checkpoint", str(tmp_path), "--json")
    assert json.loads(result.stdout)["message"] == f"{missing}: No such file or directory."


def test_an_archive_takes_no_devices_place() -> None:
    device = Path("/dev/null")
    with pytest.raises(FileRefused, match="/dev/null is a device"):
        export(cast(Registry, None), Reference("127.0.0.1:1", "x", "1.0.0"), device, silent())
    assert device.is_char_device()
