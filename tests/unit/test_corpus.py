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
    check_examples,
    hold_out,
    read_corpus,
    read_examples,
)

PAIRS = Path(__file__).parents[1] / "fixtures" / "pairs.tsv"
FRENCH_ENGLISH = ("fra", "eng")


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_pairs_have_single_spaces_and_further_columns_ignored(tmp_path: Path) -> None:
    corpus = read_corpus(
        written(tmp_path / "a.tsv", "J’ai  faim.\tI’m hungry.\tCC-BY\tx\n\nOui.\tYes.\r\n"), FRENCH_ENGLISH
    )
    assert corpus.pairs == (("J’ai faim.", "I’m hungry."), ("Oui.", "Yes."))


def test_gzipped_or_not_the_pairs_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(PAIRS.read_bytes()))
    assert read_corpus(str(path), FRENCH_ENGLISH).pairs == read_corpus(str(PAIRS), FRENCH_ENGLISH).pairs


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
        read_corpus(written(tmp_path / "a.tsv", text), FRENCH_ENGLISH)
    assert all(part in str(refused.value) for part in ("a.tsv", line, what))


@pytest.mark.parametrize("text", ["", "\n\n", " \n"])
def test_an_empty_file_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(CorpusFormatError, match=r"a\.tsv holds no sentence pair"):
        read_corpus(written(tmp_path / "a.tsv", text), FRENCH_ENGLISH)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusFormatError, match=r"none\.tsv"):
        read_corpus(str(tmp_path / "none.tsv"), FRENCH_ENGLISH)


def test_text_that_is_not_utf8_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("Oui.\tYes.\nÉté\tSummer\n".encode("latin-1"))
    with pytest.raises(CorpusFormatError, match=r"a\.tsv, line 2: not UTF-8"):
        read_corpus(str(path), FRENCH_ENGLISH)


def test_a_gzip_file_that_was_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(PAIRS.read_bytes())[:-20])
    with pytest.raises(CorpusFormatError, match=r"a\.tsv\.gz is a damaged gzip"):
        read_corpus(str(path), FRENCH_ENGLISH)


def test_a_corpus_in_the_wrong_direction_is_refused(tmp_path: Path) -> None:
    lines = (line.split("\t") for line in PAIRS.read_text(encoding="utf-8").splitlines())
    swapped = "".join(f"{target}\t{source}\n" for source, target in lines)
    with pytest.raises(CorpusFormatError, match=r"a\.tsv.*wrong direction"):
        read_corpus(written(tmp_path / "a.tsv", swapped), FRENCH_ENGLISH)


def test_a_corpus_of_the_other_direction_is_taken_with_swap(tmp_path: Path) -> None:
    pairs = read_corpus(str(PAIRS), FRENCH_ENGLISH).pairs
    with pytest.raises(CorpusFormatError, match="reads eng and writes fra: add --swap"):
        read_corpus(str(PAIRS), ("eng", "fra"))
    assert read_corpus(str(PAIRS), ("eng", "fra"), swap=True).pairs == tuple(
        (target, source) for source, target in pairs
    )
    with pytest.raises(CorpusFormatError, match="reads fra and writes eng: leave out --swap"):
        read_corpus(str(PAIRS), FRENCH_ENGLISH, swap=True)


def test_a_corpus_of_languages_that_nobody_described_is_taken_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tsv", "".join(f"Hei {number}.\tHallo {number}.\n" for number in range(20)))
    assert len(read_corpus(path, ("fin", "est")).pairs) == 20


def test_a_dev_set_of_the_other_direction_is_refused_and_taken_with_swap(tmp_path: Path) -> None:
    rows = [{"src": f"Il est là {n}.", "refs": [f"He is there {n}.", "He's there."]} for n in range(9)]
    path = Path(written(tmp_path / "dev.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    with pytest.raises(CorpusFormatError, match=r"dev\.jsonl is in the wrong direction.*add --swap"):
        check_examples(path, read_examples(path), ("eng", "fra"))
    swapped = read_examples(path, swap=True)
    check_examples(path, swapped, ("eng", "fra"))
    assert swapped[:2] == (
        Example("He is there 0.", ("Il est là 0.",)),
        Example("He's there.", tuple(row["src"] for row in rows)),
    )


def test_an_archive_with_another_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/eng-fra.txt", "Go.\tVa !\n")
    with pytest.raises(CorpusChecksumError, match=r"data\.zip has sha256"):
        read_corpus(str(path), FRENCH_ENGLISH)


def test_held_out_sources_are_in_one_set_only() -> None:
    corpus = read_corpus(str(PAIRS), FRENCH_ENGLISH)
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
