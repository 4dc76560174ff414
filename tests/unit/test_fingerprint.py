"""The guard: what changes the architecture hash, what doesn't, and what the message says."""

import json
import shutil
from pathlib import Path

import pytest

from model.errors import ArchitectureMismatch, CheckpointFormatError, ChecksumMismatch
from model.fingerprint import CODE, MANIFEST, WEIGHTS, Manifest, code_digests, meaningful_source, verify

SMALL = Path(__file__).parents[1] / "small"
MEANING = tuple(code_digests("fra", SMALL))


@pytest.fixture
def checkpoint(make_checkpoint) -> Path:
    return make_checkpoint(network=SMALL)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the code, to be changed."""
    folder = tmp_path / "code"
    for name in MEANING:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        network, _, inside = name.partition("/")
        shutil.copyfile(SMALL / inside if network == "network" else CODE / name, folder / name)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_an_untouched_checkpoint_holds(checkpoint: Path) -> None:
    assert verify(checkpoint, SMALL).source == "fra"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("network/__init__.py", 'target="eng"', 'target="spa"'),
        ("network/architecture.py", "width: int = 48", "width: int = 49"),
        ("network/vocabulary.py", 'LETTER = "@"', 'LETTER = "%"'),
        ("search.py", "* 2 + 6", "* 2 + 7"),
        ("segment.py", "LONGEST_WORDS: Final = (\n    40", "LONGEST_WORDS: Final = (\n    41"),
    ],
)
def test_a_changed_constant_is_refused_by_file_name_with_both_digests(
    checkpoint: Path, code: Path, name: str, old: str, new: str
) -> None:
    recorded = Manifest.read(checkpoint).code[name]
    edit(code / name, old, new)
    with pytest.raises(ArchitectureMismatch) as refused:
        verify(checkpoint, code / "network", code)
    message = str(refused.value)
    assert name in message
    assert recorded in message
    assert "restamp" in message
    assert all(other not in message for other in MEANING if other != name)


def test_every_file_of_the_network_is_in_the_hash_and_nothing_that_only_lies_about(
    checkpoint: Path, code: Path
) -> None:
    for name in (".DS_Store", "__pycache__/rules.cpython-311.pyc"):
        (code / "network" / name).parent.mkdir(exist_ok=True)
        (code / "network" / name).write_bytes(b"left by a tool")
    assert verify(checkpoint, code / "network", code)
    (code / "network" / "text").mkdir()
    for name in ("rules.py", "text/abbreviations.txt"):
        (code / "network" / name).write_text("added = 1\n", encoding="utf-8")
        with pytest.raises(ArchitectureMismatch, match=f"network/{name}"):
            verify(checkpoint, code / "network", code)
        (code / "network" / name).unlink()
    (code / "network" / "vocabulary.py").unlink()
    with pytest.raises(ArchitectureMismatch, match=r"network/vocabulary\.py is missing"):
        verify(checkpoint, code / "network", code)


def test_a_file_that_is_no_python_is_named(checkpoint: Path, code: Path) -> None:
    (code / "network" / "rules.py").write_text("def", encoding="utf-8")
    with pytest.raises(CheckpointFormatError, match=r"rules\.py is not Python"):
        verify(checkpoint, code / "network", code)


@pytest.mark.parametrize("name", [name for name in MEANING if name.endswith(".py")])
def test_comments_docstrings_blank_lines_and_line_ends_dont_count(checkpoint: Path, code: Path, name: str) -> None:
    path = code / name
    text = path.read_text(encoding="utf-8")
    text = text.replace('"""', '"""Another docstring. ', 1) + "\n\n\n# a last comment\n"
    text = text.replace("\nimport ", "  # why\n\nimport ", 1)
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert verify(checkpoint, code / "network", code)


def test_text_inside_strings_counts_even_where_it_looks_like_a_comment() -> None:
    assert meaningful_source(b'x = "a # b"\n') != meaningful_source(b'x = "a # c"\n')
    assert meaningful_source(b'x = """a\n\n# b\n"""\n') != meaningful_source(b'x = """a\n# b\n"""\n')
    assert meaningful_source(b'x = """a \n"""\n') != meaningful_source(b'x = """a\n"""\n')


def test_a_docstring_goes_wherever_it_stands() -> None:
    documented = b"""'''Module.'''

class A:
    '''Cl\xc3\xa9.'''

    def f(self):
        '''One
        two.'''
        return 1
"""
    assert meaningful_source(documented) == b"class A:\n    def f(self):\n        return 1\n"


def test_a_changed_config_is_refused(checkpoint: Path) -> None:
    edit(checkpoint / MANIFEST, '"width": 1', '"width": 2')
    with pytest.raises(ArchitectureMismatch, match="config"):
        verify(checkpoint, SMALL)


def test_a_changed_hash_is_refused(checkpoint: Path) -> None:
    edit(
        checkpoint / MANIFEST,
        f'"architecture": "{Manifest.read(checkpoint).architecture[:8]}',
        '"architecture": "00000000',
    )
    with pytest.raises(ArchitectureMismatch):
        verify(checkpoint, SMALL)


@pytest.mark.parametrize("name", [WEIGHTS, "fra.lang.json", "eng.lang.json", "golden.jsonl"])
def test_one_flipped_bit_in_any_file_is_refused_by_name_with_both_digests(checkpoint: Path, name: str) -> None:
    data = bytearray((checkpoint / name).read_bytes())
    data[-2] ^= 1
    (checkpoint / name).write_bytes(data)
    with pytest.raises(ChecksumMismatch) as refused:
        verify(checkpoint, SMALL)
    assert name in str(refused.value)
    assert Manifest.read(checkpoint).files()[name] in str(refused.value)


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS, "fra.lang.json", "golden.jsonl"])
def test_a_missing_file_is_named(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(CheckpointFormatError, match=name):
        verify(checkpoint, SMALL)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"version": "1.0.0"}'])
def test_a_malformed_manifest_is_named(checkpoint: Path, data: bytes) -> None:
    (checkpoint / MANIFEST).write_bytes(data)
    with pytest.raises(CheckpointFormatError, match=r"manifest\.json"):
        verify(checkpoint, SMALL)


def test_a_manifest_is_sorted_and_the_same_bytes_each_time(checkpoint: Path) -> None:
    manifest = Manifest.read(checkpoint)
    assert Manifest.decode(manifest.encode()) == manifest
    assert list(json.loads(manifest.encode())) == sorted(json.loads(manifest.encode()))


def test_a_checkpoint_has_no_version_until_an_artifact_is_made(checkpoint: Path) -> None:
    manifest = Manifest.read(checkpoint)
    assert manifest.version is None
    assert manifest.with_version("1.2.3").version == "1.2.3"
    assert manifest.with_version("1.2.3").architecture == manifest.architecture


def test_a_lexicon_belongs_to_the_models_that_read_its_language() -> None:
    assert set(code_digests("fra")) - set(code_digests("eng")) == {"lexicon.bin"}
