"""From 1.0.0, as it was released, to what this clone is, and back, while people work."""

import subprocess
import tarfile
import time
from io import BytesIO
from itertools import cycle, islice

import pytest
from faults.client import Client
from images import ROOT, BuildModel, Ran, Version, push

from .places import Place

MOVED = "model/lang.py"
"""The first file that the regrouping for 2.0.0 took away: the commit before that is 1.0.0's last."""
SENTENCES = ROOT / "tests" / "fixtures" / "pairs.tsv"
REQUESTS_PER_SECOND, REST_SECONDS = 40, 3


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def first(build_model: BuildModel, registry: str, repository: str, tmp_path_factory: pytest.TempPathFactory) -> Version:
    """Version 1.0.0, built of its own commit by its own `build-model`."""
    if not (commit := git("log", "-1", "--format=%H", "--diff-filter=D", "--", MOVED).decode().strip()):
        pytest.skip("this clone is shallow: it hasn't the commits of 1.0.0 (git fetch --unshallow)")
    root = tmp_path_factory.mktemp("first")
    with tarfile.open(fileobj=BytesIO(git("archive", f"{commit}~"))) as files:
        files.extractall(root, filter="data")
    name = f"{repository}-first"

    def run(*arguments: str) -> Ran:
        return build_model(*arguments, root=root)

    return push(run, "1.0.0", registry, name)


@pytest.mark.long
def test_2_0_0_is_deployed_over_1_0_0_under_load_and_rolled_back(
    place: Place, first: Version, build_model: BuildModel, registry: str
) -> None:
    name = first.reference.partition("/")[2].rpartition(":")[0]
    push(build_model, "2.0.0", registry, name)
    texts = [line.split("\t")[0] for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    assert place.deploy("1.0.0", "--replicas", "2", repository=name).exit_code == 0
    with Client(place.urls.client, place.name) as client:
        with client.sending(islice(cycle(texts), 100_000), REQUESTS_PER_SECOND):
            time.sleep(REST_SECONDS)
            ran = place.deploy("2.0.0", "--replicas", "2", repository=name)
            assert ran.exit_code == 0, ran.stdout + ran.stderr
            assert place.versions() == ["2.0.0"] * 2
            time.sleep(REST_SECONDS)
            answer = place.ask("Votre commande 45-7781-B est arrivée : https://exemple.fr/suivi")[0]
            assert "45-7781-B" in answer.text
            assert "https://exemple.fr/suivi" in answer.text
            ran = place.command("rollback", "--observe", "1")
            assert ran.exit_code == 0, ran.stdout + ran.stderr
            assert place.versions() == ["1.0.0"] * 2
            time.sleep(REST_SECONDS)
        client.wait_answered()
        client.settle()
        client.books.check()
        tally = client.books.tally()
    assert (tally.lost, tally.attempted) == (0, tally.answered)
