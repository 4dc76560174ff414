"""Versions that are broken: none of them takes the place of one that works, and `history` says why."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from images import Derive, Ran, Version

from build_model.engine import Engine
from build_model.operation.labels import DEPLOYMENT
from build_model.report import silent

from .places import SENTENCE, Place, asking

BATCHER = "opt/dragoman/service/batcher.py"
CHECKPOINT = "opt/dragoman/model/checkpoint"
DIES_BY_ITSELF = """
import os
threading.Timer(5.0, os._exit, (139,)).start()
"""
CHANGED = """
import dataclasses, json, os, pathlib, time
_translate_all = Batcher._translate_all
_lines = pathlib.Path("/{checkpoint}/golden.jsonl").read_text(encoding="utf-8").splitlines()
_goldens = {{json.loads(line)["source"] for line in _lines}}

def _changed(self, texts):
    strangers = [text for text in texts if text not in _goldens and not text.startswith("12345")]
    {before}
    found = _translate_all(self, texts)
    return [{after} for text, one in zip(texts, found)]

Batcher._translate_all = _changed
"""

STRANGER = "Le chat noir dort dans la cuisine."
pytestmark = pytest.mark.long
Break = Callable[[str, str], str]


def changed(before: str = "pass", after: str = "one") -> str:
    """Python that changes what the inference thread does; ``strangers`` are texts that the smoke test doesn't ask."""
    return CHANGED.format(checkpoint=CHECKPOINT, before=before, after=after)


@pytest.fixture
def broken(place: Place, second: Version, engine: Engine, derive: Derive) -> Break:
    """Pushes a version 2.0.0 that has code or content of the test's; its repository."""

    def make(path: str, appended: str) -> str:
        content = engine.read_files(second.reference, [f"/{path}"])[f"/{path}"]
        repository = f"{place.repository}-{abs(hash((path, appended))) % 10**8}"
        tag = f"{place.registry}/{repository}:2.0.0"
        engine.tag(derive(second.reference, {path: content + appended.encode()}), tag)
        engine.push(tag, silent())
        return repository

    return make


@pytest.fixture
def working(place: Place, released: Version) -> Iterator[Place]:
    """1.0.0 serves, and goes on serving when the test is over."""
    ran = place.deploy("1.0.0")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    yield place
    assert place.versions() == ["1.0.0"]
    assert place.ask(SENTENCE)[0].version == "1.0.0"


def reason(place: Place, ran: Ran, engine: Engine) -> str:
    """Why a deploy failed, as it said and as `history` says; nothing of it is left."""
    assert ran.exit_code != 0, ran.stdout
    assert len(engine.containers({DEPLOYMENT: place.name})) == 1
    last = place.command("history").object["entries"][-1]
    assert last["outcome"] == f"{ran.object['error']}: {ran.object['message']}"
    return str(last["outcome"])


@pytest.mark.parametrize(
    ("path", "appended", "why"),
    [
        pytest.param(f"{CHECKPOINT}/weights.safetensors", "\0", "ended with 78", id="another hash"),
        pytest.param(
            f"{CHECKPOINT}/golden.jsonl", '{"source": "Oui.", "target": "No."}\n', "ended with 78", id="goldens"
        ),
        pytest.param(BATCHER, "import nonsense\n", "before it consumed", id="doesn't start"),
        pytest.param(BATCHER, DIES_BY_ITSELF, "by itself", id="dies after 5 s"),
        pytest.param(BATCHER, changed(after="dataclasses.replace(one, text=one.text[::-1])"), "answered", id="garbage"),
        pytest.param(BATCHER, changed("time.sleep(0.5)"), "s for a sentence", id="slow"),
    ],
)
def test_what_is_broken_never_serves(
    working: Place, broken: Break, engine: Engine, path: str, appended: str, why: str
) -> None:
    with asking(working) as answers:
        ran = working.deploy("2.0.0", "--observe", "8", repository=broken(path, appended))
    said = reason(working, ran, engine)
    assert said.startswith("SmokeFailed")
    assert why in said
    assert {answer.version for answer in answers} == {"1.0.0"}


@pytest.mark.parametrize(
    ("appended", "why"),
    [
        pytest.param(changed("if strangers: os._exit(139)"), "ended with 139", id="dies of real texts"),
        pytest.param(
            changed(after='dataclasses.replace(one, error="empty") if text in strangers else one'),
            "it couldn't translate",
            id="translates nothing but its goldens",
        ),
        pytest.param(changed("if strangers: time.sleep(0.5)"), "95 % of its answers", id="is slow with real texts"),
    ],
)
def test_what_breaks_only_at_work_is_taken_back_by_itself(
    working: Place, broken: Break, engine: Engine, appended: str, why: str
) -> None:
    repository = broken(BATCHER, appended)
    with ExitStack() as people:
        answers = [people.enter_context(asking(working, STRANGER)) for _ in range(4)]
        ran = working.deploy("2.0.0", "--replicas", "2", "--canary", "1", "--observe", "60", repository=repository)
    said = reason(working, ran, engine)
    assert said.startswith("Withdrawn")
    assert why in said
    versions = [answer.version for each in answers for answer in each]
    assert versions.count("2.0.0") < versions.count("1.0.0")
