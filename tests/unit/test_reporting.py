"""The report: what is judged of answers, what stands on the page, and that the page needs and runs nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from checkpoints import write_checkpoint

from build_model.report import silent
from build_model.reporting.comparison import Set, compare
from build_model.reporting.drawing import Curve, bars, curves, heat
from build_model.reporting.making import LanguagesDiffer, SetTwice, make
from build_model.reporting.page import page, summary
from build_model.reporting.subject import Answer, Answers, Explained, MetricsUnreadable, ModelSilent, Subject, of_folder
from build_model.training.corpus import Example
from build_model.training.evaluation import score

EXAMPLES = (
    Example("Je vais dormir.", ("I'm going to sleep.", "I am going to sleep.")),
    Example("Il fait <b>froid</b> ce matin, non ?", ("It's <b>cold</b> this morning, isn't it?",)),
    Example("Où est la gare ?", ("Where is the station?",)),
    Example(
        "Le chat dort sur la chaise depuis ce matin.", ("The cat has been asleep on the chair since this morning.",)
    ),
) * 5
GOOD = [Answer(example.references[0], score=0.9) for example in EXAMPLES]
POOR = [Answer("The cat." if number % 2 else "<script>alert(1)</script>", score=0.8) for number in range(len(EXAMPLES))]
VOID = {"meta", "br", "img", "link", "input"}


class Outline(HTMLParser):
    """The tags of a page, and which stay open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return of_folder(write_checkpoint(tmp_path / "first"), name="first & <only>")


def judged(*answers: Sequence[Answer]) -> Set:
    return compare("everyday", EXAMPLES, answers)


def said(answers: Sequence[Answer]) -> Answers:
    explained = Explained("I'm <going>", ("Je", "vais"), ("I'm", "<going>"), ((0.9, 0.1), (0.2, 0.8)))
    return Answers({"everyday": tuple(answers)}, 900.0, 4.0, (explained,))


def written(subjects: Sequence[Subject], *answers: Sequence[Answer]) -> str:
    return page(subjects, [said(one) for one in answers], [judged(*answers)], processor="a processor", made="today")


# What is judged


def test_a_set_is_scored_as_evaluate_scores_it() -> None:
    found, expected = judged(GOOD, POOR), score([answer.text for answer in POOR], EXAMPLES)
    assert (found.worth[1].bleu, found.worth[1].chrf) == (expected.bleu, expected.chrf)
    assert found.worth[0].chrf == pytest.approx(100.0)
    assert found.worth[0].promised == pytest.approx(0.9)


def test_scores_by_length_are_of_all_sentences_each_once() -> None:
    lengths = judged(GOOD).lengths
    assert {name: worth[0].sentences for name, worth in lengths.items()} == {"1 to 5": 10, "6 to 10": 10}


def test_a_clear_difference_is_no_chance_and_none_is_said_of_equal_answers() -> None:
    clear, equal = judged(POOR, GOOD), judged(GOOD, GOOD)
    assert clear.chance is not None
    assert max(clear.chance) < 0.05
    assert equal.chance == (1.0, 1.0)
    assert "B is better by" in summary(("A", "B"), clear)
    assert "can't be told apart" in summary(("A", "B"), equal)


def test_only_the_measure_in_which_chance_would_hardly_make_the_difference_is_said_to_be_better() -> None:
    clear = judged(POOR, GOOD)
    told = summary(("A", "B"), replace(clear, chance=(0.154, 0.046)))
    assert "B is better by" in told
    assert "chrF; chance would hardly" in told
    assert "In BLEU they can't be told apart" in told
    assert "can't be told apart" in summary(("A", "B"), replace(clear, chance=(0.2, 0.2)))
    assert "In chrF they can't be told apart" in summary(("A", "B"), replace(clear, chance=(0.001, 0.2)))


def test_the_same_answers_give_the_same_chance_again() -> None:
    mixed = [*POOR[:3], *GOOD[3:]]
    assert judged(mixed, GOOD).chance == judged(mixed, GOOD).chance


def test_the_sentences_shown_are_those_that_differ_most_and_those_that_mislead() -> None:
    found = judged(POOR, GOOD)
    assert not found.lost
    assert [pair.gain for pair in found.gained] == sorted((pair.gain for pair in found.gained), reverse=True)
    assert all(pair.answers[-1].score == 0.8 and pair.chrf[-1] < 30 for pair in judged(POOR).misleading(0))
    assert judged(POOR).misleading(0)
    assert [pair.chrf[0] for pair in found.worst(0)] == sorted(pair.chrf[0] for pair in found.pairs)[:12]
    assert [pair.chrf[1] for pair in found.worst(1)] == sorted(pair.chrf[1] for pair in found.pairs)[:12]


# The page


def test_a_page_is_well_formed_fetches_nothing_and_runs_nothing(subject: Subject) -> None:
    other = replace(
        subject,
        name="other",
        metrics={"losses": [[1, 6.0], [50, 3.5]], "dev": [{"step": 50, "bleu": 20.0, "chrf": 40.0}]},
    )
    text = written([subject, other], POOR, GOOD)
    outline = Outline(text)
    assert not outline.open
    assert not outline.wrong
    tags = {tag for tag, _ in outline.seen}
    assert not tags & {"script", "link", "img", "iframe", "object", "form", "base"}
    held = [value or "" for _, attributes in outline.seen for value in attributes.values()]
    assert not [value for value in held if "://" in value or value.startswith("//")]
    assert not [name for _, attributes in outline.seen for name in attributes if name.startswith("on")]
    assert any(
        attributes.get("content", "").startswith("default-src 'none'")
        for tag, attributes in outline.seen
        if tag == "meta"
    )  # type: ignore[union-attr]
    assert "url(" not in text
    assert "@import" not in text


def test_what_a_model_says_stays_text(subject: Subject) -> None:
    text = written([subject], POOR)
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Il fait &lt;b&gt;froid&lt;/b&gt;" in text
    assert "first &amp; &lt;only&gt;" in text


def test_sentences_say_their_language_and_tables_what_they_show(subject: Subject) -> None:
    outline = Outline(written([subject], GOOD))
    assert {attributes["lang"] for _, attributes in outline.seen if "lang" in attributes} == {"en", "fr"}
    tables = [tag for tag, _ in outline.seen if tag == "table"]
    assert tables
    assert len([tag for tag, _ in outline.seen if tag == "caption"]) == len(tables)
    assert all("scope" in attributes for tag, attributes in outline.seen if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in outline.seen if tag == "svg")


def test_the_numbers_on_the_page_are_those_that_were_judged(subject: Subject) -> None:
    text, found = written([subject, replace(subject, name="other")], POOR, GOOD), judged(POOR, GOOD)
    for worth in found.worth:
        assert f'<td class="n">{worth.bleu:.1f}</td><td class="n">{worth.chrf:.1f}</td>' in text


def test_the_worst_sentences_of_each_of_two_models_are_shown(subject: Subject) -> None:
    text = written([subject, replace(subject, name="other")], POOR, GOOD)
    assert "A, everyday: furthest from every reference" in text
    assert "B, everyday: furthest from every reference" in text
    assert "A, everyday: bad, and sure of it" in text


def test_without_a_test_set_the_page_says_so_and_shows_what_the_checkpoint_records(subject: Subject) -> None:
    made = make([subject], [], swap=False, progress=silent())
    assert "No test set was given" in made.page
    assert "Scores recorded with it" in made.page
    assert "49.1" in made.page


@pytest.mark.parametrize("width", [400, 1100])
def test_a_browser_shows_the_page_without_a_complaint(subject: Subject, tmp_path: Path, width: int) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    inner, file = tmp_path / "report.html", tmp_path / "frame.html"
    # A window is laid out at 500 pixels at least, a frame in it at any width.
    frame = f'<body style="margin:0"><iframe src="report.html" style="border:0;width:{width}px;height:900px"></iframe>'
    file.write_text(frame, encoding="utf-8")
    inner.write_text(written([subject, replace(subject, name="other")], POOR, GOOD), encoding="utf-8")
    told = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    told += [f"--window-size={max(width, 500)},900"]
    told += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'page.png'}"]
    ran = subprocess.run([browser, *told, file.as_uri()], capture_output=True, text=True, timeout=90, check=True)
    assert "CONSOLE" not in ran.stderr  # what the policy refuses, or what can't be read, is said there
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_drawings_show_each_value() -> None:
    drawn = bars("chrF", [("short", [50.0, None]), ("long", [100.0, 25.0])])
    assert drawn.count("<rect") == 3
    lengths = [float(part.split('"')[0]) for part in drawn.split('width="')[2:]]
    assert lengths[1] == pytest.approx(2 * lengths[0])
    assert heat("h", ["a", "b"], ["x"], [[0.25, 0.75]]).count("<rect") == 2
    line = curves("c", [Curve("loss", "loss", [(1, 4.0), (3, 4.0)])], [], "step")
    assert line.count("<polyline") == 1  # a flat one too


# The models


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"losses": [3.5]}', '{"dev": [{"step": 5}]}', '{"dev": 1}'])
def test_metrics_that_training_did_not_write_are_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    folder = write_checkpoint(tmp_path / "first")
    (folder / "metrics.json").write_text(content, encoding="utf-8")
    with pytest.raises(MetricsUnreadable, match=r"metrics\.json isn't what .* Move it away"):
        of_folder(folder)


def test_models_of_other_languages_are_not_set_beside_each_other(subject: Subject) -> None:
    other = replace(subject, manifest={**subject.manifest, "source": "eng", "target": "fra"})
    with pytest.raises(LanguagesDiffer, match=r"fra-eng and .* eng-fra"):
        make([subject, other], [], swap=False, progress=silent())


def test_two_sets_of_one_name_are_refused(subject: Subject, tmp_path: Path) -> None:
    files = [tmp_path / "dev.jsonl", tmp_path / "dev.jsonl"]
    files[0].write_text(json.dumps({"src": "Je dors.", "refs": ["I'm sleeping."]}) + "\n", encoding="utf-8")
    with pytest.raises(SetTwice, match="'dev'"):
        make([subject], files, swap=False, progress=silent())


def test_a_model_that_cannot_run_is_named_with_its_last_words_and_no_traceback(subject: Subject) -> None:
    with pytest.raises(ModelSilent) as raised:
        subject.ask({"dev": ["Je dors."]}, [], lambda: None)
    assert str(raised.value).startswith("first & <only> gave no answers: ")
    assert "Traceback" not in str(raised.value)
    assert "\n" not in str(raised.value)
