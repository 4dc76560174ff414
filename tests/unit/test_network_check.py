"""`build-model check`: what is wrong with a network's folder is said, with the way out."""

# ruff: noqa: E501 (a row is what is changed, and what is said of it)

import shutil
from pathlib import Path

import pytest

from build_model.training.check import check
from model.errors import NetworkInvalid

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = {
    "start": EXAMPLES / "start",
    "transformer": EXAMPLES / "transformer",
    "tutorial": EXAMPLES / "tutorial/network",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_every_example_keeps_to_the_contract(name: str) -> None:
    assert len(list(check(FOLDERS[name]))) == 11


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "said"),
    [
        ("tutorial", "__init__.py", "    pads=False,", "    pads=True,", "say `pads=False` in MODEL"),
        ("start", "architecture.py", "read, state)  # padding", "read, read)  # padding", "mask it"),
        ("start", "architecture.py", "        return (torch.stack", "        state = state[None]\n        return (torch.stack", "first dimension"),
        ("start", "architecture.py", "        state = self.decoder(", "        state += 1\n        state = self.decoder(", "writes into the state"),
        ("start", "vocabulary.py", "import json", "import json\nimport numpy", "numpy is outside the folder"),
        ("start", "vocabulary.py", "import json", "import json\nfrom service import log", "service is outside the folder"),
        ("start", "vocabulary.py", "import json", "import json\nimportlib = __import__('importlib')", r"__import__\(\)"),
        ("start", "vocabulary.py", "+ letter, UNK)", "+ letter)", "Expected at least one id"),
        ("start", "__init__.py", "MODEL =", "OTHER =", "says no MODEL"),
        ("start", "architecture.py", "(frozen=True)", "", "is no frozen dataclass"),
        ("tutorial", "vocabulary.py", "raise Unreadable", "raise KeyError", "Unreadable for one that it can't read"),
        ("start", "architecture.py", "self.source.weight.new_zeros(source.size(0), self.config.width)", "torch.zeros(source.size(0), self.config.width)", "weights in bf16"),
        ("transformer", "architecture.py", ".tril()", "", "step and forward disagree"),
        ("transformer", "architecture.py", "        width = self.config.width\n        places", "        width = self.config.width\n        (0,)[start // 400]\n        places", "called for target id 401 of a source of 301"),
        ("transformer", "architecture.py", "        width = self.config.width\n        places", "        width = self.config.width\n        (0,)[features.size(1) // 300]\n        places", "a source of 301 ids"),
        ("transformer", "architecture.py", "return (memory, mask), tuple(", "return (memory, mask, 3), tuple(", "A number that changes with each step"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_told_with_the_way_out(
    tmp_path: Path, name: str, file: str, old: str, new: str, said: str
) -> None:
    folder = tmp_path / "network"
    shutil.copytree(FOLDERS[name], folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(NetworkInvalid, match=said):
        list(check(folder))
