"""Reading corpora: every malformed one gets one clear error that names file and line."""

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from build_model.training.corpus import (
    CorpusChecksumError,
    CorpusFormatError,
    Example,
    hold_out,
    read_corpus,
    read_examples,
)

PAIRS = Path(__file__).parents[1] / "fixtures" / "pairs.tsv"


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_pairs_have_single_spaces_and_further_columns_ignored(tmp_path: Path) -> None:
    corpus = read_corpus(written(tmp_path / "a.tsv", "J’ai  faim.\tI’m hungry.\tCC-BY\tx\n\nOui.\tYes.\r\n"))
    assert corpus.pairs == (("J’ai faim.", "I’m hungry."), ("Oui.", "Yes."))


def test_gzipped_or_not_the_pairs_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(PAIRS.read_bytes()))
    assert read_corpus(str(path)).pairs == read_corpus(str(PAIRS)).pairs


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("Oui.\tYes.\nNon.\n", "line 2", "no tab"),
        ("Oui.\tYes.\n\tNo.\n", "line 2", "source is empty"),
        ("Oui.\tYes.\n\nNon.\t \n", "line 3", "target is empty"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, line: str, what: str) -> None:
    with pytest.raises(CorpusFormatError) as refused:
        read_corpus(written(tmp_path / "a.tsv", text))
    assert all(part in str(refused.value) for part in ("a.tsv", line, what))


@pytest.mark.parametrize("text", ["", "\n\n", " \n"])
def test_an_empty_file_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(CorpusFormatError, match=r"a\.tsv holds no sentence pair"):
        read_corpus(written(tmp_path / "a.tsv", text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusFormatError, match=r"none\.tsv"):
        read_corpus(str(tmp_path / "none.tsv"))


def test_text_that_is_not_utf8_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("Oui.\tYes.\nÉté\tSummer\n".encode("latin-1"))
    with pytest.raises(CorpusFormatError, match=r"a\.tsv, line 2: not UTF-8"):
        read_corpus(str(path))


def test_a_gzip_file_that_was_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(PAIRS.read_bytes())[:-20])
    with pytest.raises(CorpusFormatError, match=r"a\.tsv\.gz is a damaged gzip"):
        read_corpus(str(path))


def test_a_corpus_in_the_wrong_direction_is_refused(tmp_path: Path) -> None:
    lines = (line.split("\t") for line in PAIRS.read_text(encoding="utf-8").splitlines())
    swapped = "".join(f"{target}\t{source}\n" for source, target in lines)
    with pytest.raises(CorpusFormatError, match=r"a\.tsv.*wrong direction"):
        read_corpus(written(tmp_path / "a.tsv", swapped))


def test_an_archive_with_another_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/eng-fra.txt", "Go.\tVa !\n")
    with pytest.raises(CorpusChecksumError, match=r"data\.zip has sha256"):
        read_corpus(str(path))


def test_held_out_sources_are_in_one_set_only() -> None:
    corpus = read_corpus(str(PAIRS))
    kept, dev = hold_out(corpus, seed=1)
    assert dev
    assert {source for source, _ in kept.pairs}.isdisjoint(example.source for example in dev)
    assert len(kept.pairs) + sum(len(example.references) for example in dev) == len(corpus.pairs)
    assert hold_out(corpus, seed=1) == (kept, dev)


def test_a_test_set_has_all_of_its_references(tmp_path: Path) -> None:
    path = written(
        tmp_path / "t.jsonl", json.dumps({"src": "Oui.", "refs": ["Yes.", "Yeah."], "tutorial_filter": True})
    )
    assert read_examples(Path(path)) == (Example("Oui.", ("Yes.", "Yeah."), True),)


@pytest.mark.parametrize(
    "line", ['{"src": "Oui."}', '{"src": "Oui.", "refs": []}', "[]", "{", '{"src": 1, "refs": ["x"]}']
)
def test_a_malformed_test_line_is_named(tmp_path: Path, line: str) -> None:
    path = written(tmp_path / "t.jsonl", '{"src": "Oui.", "refs": ["Yes."]}\n' + line + "\n")
    with pytest.raises(CorpusFormatError, match=r"t\.jsonl, line 2"):
        read_examples(Path(path))
