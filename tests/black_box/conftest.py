"""Black-box tests see images, containers, the registry, the queue and the command line, and nothing inside them.

pytest tests/black_box                     builds an image of the released checkpoint and tests it
pytest tests/black_box --image REF ...     tests what an image must do on each of these instead
"""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker.installation import NodeUnavailable, installation
from broker.node import private_node
from images import ROOT, BuildModel, Urls, Version, missing

from build_model.engine import Engine
from build_model.operation.rpc import Broker
from build_model.report import silent
from daemons.engine import bridge_gateway

from .places import Place

RELEASED = "released"
CLONE = ("model", "service", "build", "requirements", "Dockerfile", "VERSION")
"""What `build-model` needs of the repository."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--image", action="append", default=[], metavar="REF", help="an image of the engine to test; may be repeated"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of what an image must do run once per image."""
    if "image" in metafunc.fixturenames:
        given = metafunc.config.getoption("--image", default=[])
        metafunc.parametrize("image", given or [RELEASED], indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --image, only the tests of images are asked for."""
    if config.getoption("--image", default=[]):
        here = [item for item in items if "image" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=[item for item in items if item not in here])
        items[:] = here


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest, engine: Engine) -> str:
    """An image to test: one of --image, or the released checkpoint's."""
    if request.param == RELEASED:
        version: Version = request.getfixturevalue("released")
        return version.reference
    reference: str = request.param
    if engine.image(reference) is None:
        engine.pull(reference, silent())
    return reference


@pytest.fixture
def newer_urls(engine: Engine, tmp_path: Path) -> Iterator[Urls]:
    """A broker of the test's own, of the newer release."""
    try:
        with private_node(tmp_path, installation("RabbitMQ 4.0"), [bridge_gateway()]) as node:
            yield Urls(node.url, node.bridge_url)
    except NodeUnavailable as error:
        missing(error)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the repository's code and released checkpoint, its files made just now."""
    for name in CLONE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def place(engine: Engine, registry: str, repository: str, urls: Urls, build_model: BuildModel) -> Iterator[Place]:
    """A place of its own for this module; nothing of it is left afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield Place(name, registry, repository, urls, build_model)
    for container in engine.containers({"dragoman.deployment": name}):
        engine.remove(container.id)
    with Broker(urls.client) as broker:
        for queue in (name, f"{name}.quarantine"):
            broker.delete(queue)
