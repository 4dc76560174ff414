"""Another pair of languages: a network of English to French, trained for seconds on the corpus of the other direction,
built, deployed beside the released model on one broker, and nothing of French to English left in it."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from images import BuildModel, Urls, Version, forget

from build_model.engine import Engine
from build_model.operation.rpc import Broker, Parcel
from model.fingerprint import MANIFEST, Manifest

from .places import Place

FIXTURES = Path(__file__).parents[1] / "fixtures"
NUMBER, EXAMPLE = "0.1.0", "I am going to sleep."
FALLBACK = f"Could not translate. Try '{EXAMPLE}'"
GONE = ("fra-eng", "french-to-english", "dormir")


@pytest.fixture(scope="module")
def folder(build_model: BuildModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network's folder that reads English, and beside it a checkpoint."""
    folder = tmp_path_factory.mktemp("languages") / "network"
    languages = ("--source", "eng", "--target", "fra", "--example", EXAMPLE)
    ran = build_model("init", str(folder), *languages)
    assert ran.exit_code == 0, ran.stderr
    corpus = ("--corpus", str(FIXTURES / "pairs.tsv"), "--dev", str(FIXTURES / "dev.jsonl"))
    out = ("--out", str(folder.parent / "checkpoint"), "--json")
    where = ("--network", str(folder), "--device", "cpu", "--epochs", "100")
    refused = build_model("train", *corpus, *where, *out)
    assert "reads eng and writes fra: add --swap" in refused.object["message"]
    ran = build_model("train", *corpus, "--swap", *where, *out)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    return folder


@pytest.fixture(scope="module")
def english(build_model: BuildModel, engine: Engine, registry: str, folder: Path) -> Iterator[Version]:
    """Version 0.1.0 of it, under the name that it gets by itself, in a part of the registry of its own."""
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    what = ("--network", str(folder), "--checkpoint", str(folder.parent / "checkpoint"))
    ran = build_model("--version", NUMBER, *what, "--registry", f"{registry}/{prefix}", "--push", "--json")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    yield Version(NUMBER, f"{registry}/{prefix}/dragoman/eng-fra:{NUMBER}", ran.object)
    for found in engine.client.images.list():
        forget(engine, found.id, prefix)


@pytest.fixture(scope="module")
def beside(english: Version, engine: Engine, urls: Urls, build_model: BuildModel) -> Iterator[Place]:
    """The place that it is deployed to."""
    registry, _, rest = english.reference.partition("/")
    prefix, _, repository = rest.rpartition(":")[0].partition("/")
    name = f"test-{uuid.uuid4().hex[:8]}"
    there = Place(name, f"{registry}/{prefix}", repository, urls, build_model)
    yield there
    for container in engine.containers({"dragoman.deployment": name}):
        engine.remove(container.id)
    with Broker(urls.client) as broker:
        for queue in (name, f"{name}.quarantine"):
            broker.delete(queue)


def test_the_image_is_called_and_described_by_its_languages(
    build_model: BuildModel, english: Version, folder: Path
) -> None:
    assert english.built["reference"] == english.reference
    said = build_model("inspect", english.reference, "--json").object
    labels = said["labels"]
    assert labels["org.opencontainers.image.title"] == "dragoman eng-fra"
    assert labels["org.opencontainers.image.description"].startswith("An English-to-French translation model ")
    assert "model/lexicon.bin" not in said["files"]
    told = json.dumps([labels, said["manifest"], *said["files"]]).lower()
    assert [word for word in GONE if word in told] == []
    assert Manifest.read(folder.parent / "checkpoint").files().keys() >= {"eng.lang.json", "fra.lang.json"}
    assert said["manifest"]["example"] == EXAMPLE
    assert (folder.parent / "checkpoint" / MANIFEST).exists()


def test_both_directions_are_served_on_one_broker_from_queues_of_their_own(
    place: Place, beside: Place, released: Version, english: Version
) -> None:
    for each, number in ((place, released.number), (beside, NUMBER)):
        ran = each.deploy(number)
        assert ran.exit_code == 0, ran.stdout + ran.stderr
    (into_english,) = place.ask("Je vais dormir.")
    into_french, foreign, nothing = beside.ask(EXAMPLE, "Je ne sais pas où est la gare.", "123")
    assert (into_english.error, into_english.version) == (None, released.number)
    assert (into_french.text, into_french.error, into_french.version) == ("Je vais dormir.", None, NUMBER)
    assert into_english.architecture != into_french.architecture
    assert (foreign.error, foreign.text) == ("not-english", FALLBACK)
    assert (nothing.error, nothing.text) == ("no-letters", FALLBACK)


def test_which_search_serves_is_said_by_inspect_by_status_and_by_the_log(
    build_model: BuildModel, engine: Engine, beside: Place, english: Version
) -> None:
    serving = build_model("inspect", english.reference, "--json").object["serving"]
    assert serving["path"] in ("plain", "dynamic")
    assert serving["sentences_per_second"] > 0
    (replica,) = beside.command("status").object["replicas"]
    assert (replica["path"], replica["sentences_per_second"] > 0) == (serving["path"], True)
    lines = [json.loads(line) for line in engine.log(replica["name"], lines=100).splitlines() if line.startswith("{")]
    loaded = next(line for line in lines if line["event"] == "loaded")
    assert (loaded["path"], loaded["sentences_per_second"]) == (replica["path"], replica["sentences_per_second"])


def test_what_is_erroneous_is_answered_with_the_models_own_example(beside: Place) -> None:
    with Broker(beside.urls.client) as broker:
        (answer,) = broker.exchange(beside.name, [Parcel(b"\xff")], 60)
    assert (answer.error, answer.text) == ("not-utf8", FALLBACK)
