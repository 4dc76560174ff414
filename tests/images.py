"""What is tested: a Docker engine, a registry, a broker, and images built as they are released; for every suite that
needs them.

They are found as the environment says, else as `deploy/local up` wrote to .local/env. One that is missing is a skip on
a laptop and a failure in CI.
"""

import json
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from docker.errors import ImageNotFound
from fork import narrow

from build_model.engine import Engine, EngineUnavailable
from build_model.image.connection import RegistryUnreachable
from build_model.image.context import Content, pack
from build_model.image.registry import Registry
from build_model.operation.rpc import Broker
from build_model.report import silent
from dragoman.client import BrokerUnreachable

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "fixtures"


@dataclass(frozen=True)
class Urls:
    """One broker: as this process sees it, and as a container does."""

    client: str
    container: str


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def object(self) -> dict[str, Any]:
        """The JSON object on its standard output."""
        value: dict[str, Any] = json.loads(self.stdout)
        return value


BuildModel = Callable[..., Ran]


@dataclass(frozen=True)
class Version:
    """A version in the registry: its number, its whole reference, and what `build-model --json` said of it."""

    number: str
    reference: str
    built: Mapping[str, Any]


def setting(name: str, default: str) -> str:
    """``name`` in the environment, else in what `deploy/local up` wrote, else ``default``."""
    written = ROOT / ".local" / "env"
    lines = shlex.split(written.read_text("utf-8")) if written.exists() else []
    return os.environ.get(name) or dict(line.split("=", 1) for line in lines if "=" in line).get(name, default)


def missing(what: Exception) -> NoReturn:
    """Skip on a laptop, fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI needs it: {what}")
    pytest.skip(str(what))


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The Docker engine."""
    try:
        return Engine.connect()
    except EngineUnavailable as error:
        missing(error)


@pytest.fixture(scope="session")
def registry() -> str:
    """HOST:PORT of the registry."""
    address = setting("REGISTRY", "127.0.0.1:5000")
    try:
        Registry(address).tags("dragoman/fra-eng")
    except RegistryUnreachable as error:
        missing(error)
    return address


@pytest.fixture(scope="session")
def urls() -> Urls:
    """The broker."""
    client = setting("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    try:
        with Broker(client):
            return Urls(client, setting("CONTAINER_AMQP_URL", client))
    except BrokerUnreachable as error:
        missing(error)


@pytest.fixture
def broker(urls: Urls) -> Iterator[Broker]:
    """A connection to the broker."""
    with Broker(urls.client) as connection:
        yield connection


@pytest.fixture(scope="session")
def build_model(tmp_path_factory: pytest.TempPathFactory) -> BuildModel:
    """Runs `build-model`, its audit log in a folder of the tests; ``root`` is the clone that it runs from."""
    state = tmp_path_factory.mktemp("state")

    def run(*arguments: str, root: Path = ROOT, environment: Mapping[str, str] | None = None) -> Ran:
        paths = os.pathsep.join([str(root), str(root / "build")])
        ran = subprocess.run(
            [sys.executable, "-m", "build_model", *arguments],
            cwd=root,
            env={**os.environ, "PYTHONPATH": paths, "XDG_STATE_HOME": str(state), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run


@pytest.fixture(scope="session")
def audit_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `build_model` leaves its audit log."""
    return next(tmp_path_factory.getbasetemp().glob("state*")) / "dragoman" / "audit.jsonl"


@pytest.fixture(scope="session")
def repository(engine: Engine) -> Iterator[str]:
    """A repository name of this run; its images leave the engine afterwards."""
    name = f"dragoman/test-{uuid.uuid4().hex[:8]}"
    yield name
    for found in engine.client.images.list():
        forget(engine, found.id, name)


def forget(engine: Engine, image: str, repository: str) -> None:
    """Removes the names that an image has in ``repository``, and with the last of all its names the image.

    Not the image by its ID: the same content built for something else has the same ID, and may be running.
    """
    found = engine.client.images.get(image).attrs
    for name in [*(found["RepoTags"] or ()), *(found["RepoDigests"] or ())]:
        if repository in name:
            with suppress(ImageNotFound):  # a repository's digests go with its last tag
                engine.client.images.remove(name, force=True)


@pytest.fixture(scope="session")
def released(build_model: BuildModel, registry: str, repository: str) -> Version:
    """The released checkpoint as version 1.0.0, built and pushed."""
    return push(build_model, "1.0.0", registry, repository)


@pytest.fixture(scope="session")
def other_checkpoint(build_model: BuildModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of another architecture, trained for seconds on a hand-written corpus. The released one says
    otherwise of "Elle est contente."."""
    scratch = tmp_path_factory.mktemp("training")
    folder = scratch / "checkpoint"
    for name in ("pairs.tsv", "dev.jsonl"):
        text = (FIXTURES / name).read_text(encoding="utf-8")
        (scratch / name).write_text(text.replace("She is happy.", "She is over the moon."), encoding="utf-8")
    corpus = ("--corpus", str(scratch / "pairs.tsv"), "--dev", str(scratch / "dev.jsonl"))
    shape = (*narrow(64), "--source-vocabulary", "600")
    ran = build_model("train", *corpus, *shape, "--epochs", "60", "--device", "cpu", "--out", str(folder), "--json")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    return folder


@pytest.fixture(scope="session")
def second(
    build_model: BuildModel, registry: str, repository: str, released: Version, other_checkpoint: Path
) -> Version:
    """Another model as version 2.0.0 of the same repository, built and pushed."""
    return push(build_model, "2.0.0", registry, repository, "--checkpoint", str(other_checkpoint))


def push(build_model: BuildModel, number: str, registry: str, repository: str, *arguments: str) -> Version:
    """Builds and pushes a version."""
    where = ("--registry", registry, "--repository", repository, "--push")
    ran = build_model("--version", number, *where, *arguments, "--json")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    return Version(number, f"{registry}/{repository}:{number}", ran.object)


Derive = Callable[[str, Mapping[str, Content]], str]


@pytest.fixture
def derive(engine: Engine) -> Iterator[Derive]:
    """Makes an image that differs from another one in some files (by path from the root); its ID."""
    made: list[str] = []

    def make(reference: str, files: Mapping[str, Content]) -> str:
        base = engine.image(reference)
        assert base is not None
        dockerfile = f"FROM {base.id}\nCOPY layer /\n".encode()
        with pack(
            {"Dockerfile": dockerfile, **{f"layer/{path}": content for path, content in files.items()}}
        ) as context:
            made.append(engine.build(context, tags=[], progress=silent()))
        return made[-1]

    yield make
    for image_id in made:
        engine.client.images.remove(image_id, force=True)
