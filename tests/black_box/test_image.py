"""What every image must be and do: `pytest tests/black_box --image REF` asks it of any tag."""

import hashlib
import json
import re

from fork import MODEL, TODAYS, network_files, vouched_for
from images import Urls

from build_model.engine import Engine
from build_model.operation import smoke
from build_model.report import silent
from model.fingerprint import LEXICONS

FILES = """
model/__init__.py
model/calibration.py
model/carried.py
model/checkpoint.py
model/checkpoint/fra-eng.lang.json
model/checkpoint/golden.jsonl
model/checkpoint/manifest.json
model/checkpoint/weights.safetensors
model/contract.py
model/dynamic.py
model/errors.py
model/fingerprint.py
model/folder.py
model/language.py
model/layout.py
model/lexicon.bin
model/lexicon.py
model/names.py
model/network/__init__.py
model/network/architecture.py
model/network/fast.py
model/network/normalize.py
model/network/vocabulary.py
model/numbers.py
model/reading.py
model/repetition.py
model/search.py
model/segment.py
model/spans.py
model/spelling.py
model/translator.py
model/typography.py
model/url.py
model/wordlists.py
service/__init__.py
service/__main__.py
service/batcher.py
service/connection.py
service/consumer.py
service/content.py
service/deadline.py
service/health.py
service/intake.py
service/ledger.py
service/link.py
service/log.py
service/losses.py
service/message.py
service/metrics.py
service/outlet.py
service/settings.py
service/tally.py
service/trace.py
"""
"""All that is under /opt/dragoman, written by hand: whatever else gets in is noticed here."""


def files() -> list[str]:
    """The same where another network stands in the released one's place."""
    if TODAYS:
        return FILES.split()
    released = ("model/network/", "model/checkpoint/", "model/lexicon.bin")
    ours = [name for name in FILES.split() if not name.startswith(released)]
    theirs = [f"model/network/{name}" for name in network_files()]
    theirs += [f"model/checkpoint/{name}" for name in vouched_for()]
    return sorted([*ours, *theirs, *(["model/lexicon.bin"] if MODEL.source in LEXICONS else [])])


def test_the_smoke_test_passes(image: str, engine: Engine, urls: Urls) -> None:
    checks = smoke.run(smoke.Trial(image, urls.container, urls.client, "bridge"), engine, silent())
    assert len(checks) == 8


def test_the_smoke_test_passes_on_the_newer_broker(image: str, engine: Engine, newer_urls: Urls) -> None:
    checks = smoke.run(smoke.Trial(image, newer_urls.container, newer_urls.client, "bridge"), engine, silent())
    assert len(checks) == 8


def test_its_self_test_passes_hardened_and_with_no_network(image: str, engine: Engine) -> None:
    outcome = engine.run_to_end(image, ("python3", "-m", "service", "self-test"), network="none", seconds=120)
    assert outcome.exit_code == 0, outcome.log


def test_the_application_folder_holds_these_files_and_no_others(image: str, engine: Engine) -> None:
    listing = (
        "import pathlib; root = pathlib.Path('/opt/dragoman'); "
        "[print(path.relative_to(root)) for path in root.rglob('*') if not path.is_dir()]"
    )
    outcome = engine.run_to_end(image, ("python3", "-c", listing), network="none", seconds=60)
    assert sorted(outcome.log.split()) == files()


def test_it_holds_no_compiler_no_pip_and_no_training_code(image: str, engine: Engine) -> None:
    question = (
        "import importlib.util, shutil; "
        "print([n for n in ('cc', 'gcc', 'g++', 'ld', 'make', 'pip', 'pip3') if shutil.which(n)], "
        "[n for n in ('pip', 'setuptools', 'build_model', 'sacrebleu', 'matplotlib') if importlib.util.find_spec(n)])"
    )
    outcome = engine.run_to_end(image, ("python3", "-c", question), network="none", seconds=60)
    assert outcome.log.strip() == "[] []"


def test_it_is_python_3_11_on_debian_and_not_root(image: str, engine: Engine) -> None:
    question = (
        "import os, sys, platform; "
        "print(sys.version_info[:2], platform.freedesktop_os_release()['ID'], os.getuid(), "
        "os.access('/opt/dragoman', os.W_OK))"
    )
    outcome = engine.run_to_end(image, ("python3", "-c", question), network="none", seconds=60)
    assert outcome.log.strip() == "(3, 11) debian 10001 False"


def test_its_config_names_user_command_and_health_check(image: str, engine: Engine) -> None:
    config = engine.client.images.get(image).attrs
    assert config["Architecture"] == "amd64"
    assert config["Config"]["User"] == "10001:10001"
    assert config["Config"]["Cmd"] == ["python3", "-m", "service"]
    assert config["Config"]["WorkingDir"] == "/opt/dragoman"
    assert config["Config"]["Healthcheck"]["Test"] == ["CMD", "python3", "-m", "service", "health"]


def test_its_labels_are_those_of_the_manifest_inside(image: str, engine: Engine) -> None:
    found = engine.image(image)
    assert found is not None
    path = "/opt/dragoman/model/checkpoint/manifest.json"
    manifest = json.loads(engine.read_files(found.id, [path])[path])
    labels = found.labels
    assert labels["org.opencontainers.image.version"] == manifest["version"]
    assert labels["dragoman.architecture"] == manifest["architecture"]
    assert labels["dragoman.weights"] == manifest["weights"]
    for name in ("dragoman.artifact", "dragoman.langs", "dragoman.runtime"):
        assert re.fullmatch("[0-9a-f]{64}", labels[name]), name
    for name in ("title", "description", "licenses", "revision", "base.name", "base.digest"):
        assert labels[f"org.opencontainers.image.{name}"], name


def test_its_identity_is_the_digest_of_its_files_and_its_runtime(image: str, engine: Engine) -> None:
    question = (
        "import hashlib, pathlib; root = pathlib.Path('/opt/dragoman'); "
        "[print(hashlib.sha256(path.read_bytes()).hexdigest() + '  ' + str(path.relative_to(root))) "
        "for path in root.rglob('*') if path.is_file()]"
    )
    outcome = engine.run_to_end(image, ("python3", "-c", question), network="none", seconds=60)
    found = engine.image(image)
    assert found is not None
    lines = sorted(outcome.log.splitlines(), key=lambda line: line.split()[1])
    text = "".join(f"{line}\n" for line in [*lines, f"{found.labels['dragoman.runtime']}  runtime"])
    assert hashlib.sha256(text.encode()).hexdigest() == found.labels["dragoman.artifact"]
