"""The page: one HTML file that fetches nothing and runs nothing, for a screen, a dark one, a narrow one and paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from build_model.report import size
from build_model.reporting.comparison import CERTAIN, Pair, Set, Worth
from build_model.reporting.drawing import Curve, bars, curves, heat
from build_model.reporting.style import STYLE
from build_model.reporting.subject import Answers, Subject

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_SHORT = {"fra": "fr", "eng": "en", "deu": "de", "spa": "es", "ita": "it", "nld": "nl", "por": "pt"}  # BCP 47 wants two


def page(
    subjects: Sequence[Subject],
    answers: Sequence[Answers],
    sets: Sequence[Set],
    *,
    processor: str,
    made: str,
) -> str:
    """The report as HTML.

    Args:
        subjects: one model or two, with the ``answers`` of each, in the same order; no answers where no set was given.
        processor: on which the speed was measured.
        made: when, for the page's foot.
    """
    names = [subject.name for subject in subjects]
    sections = [
        ("scores", "Scores", _scores(names, sets)),
        ("samples", "Side by side", _samples(subjects, sets) if len(subjects) == 2 else ""),
        ("worst", "Worst sentences", _worst(subjects, sets)),
        ("sources", "Where words come from", _explained(subjects, answers)),
        ("curves", "Training", _training(subjects)),
        ("sizes", "Sizes", _sizes(subjects)),
        ("speed", "Speed", _speed(names, answers, processor)),
        ("models", "The models", _models(subjects)),
    ]
    shown = [section for section in sections if section[2]]
    title = " and ".join(names)
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
            f"<header><h1>{' against '.join(_named(names))}</h1>",
            f'<p class="sum">{_summary(names, sets)}</p>',
            "<nav>"
            + "".join(f'<a href="#{id_}">{escape(head)}</a>' for id_, head, _ in shown)
            + "</nav></header><main>",
            *(f'<section id="{id_}"><h2>{escape(head)}</h2>{body}</section>' for id_, head, body in shown),
            f'</main><footer class="dim"><p>Made by build-model report, {escape(made)}.</p></footer></body></html>',
            "",
        )
    )


def _named(names: Sequence[str]) -> list[str]:
    """The names, each in its model's colour, with the letter that stands for it elsewhere where there are two."""
    told = [f"{letter} {name}" for letter, name in zip("AB", names, strict=False)] if len(names) == 2 else names
    return [f'<span class="k{number}">{escape(name)}</span>' for number, name in enumerate(told)]


def _letter(number: int, names: Sequence[str]) -> str:
    """What stands for a model in a table."""
    return f'<span class="k{number}">{"AB"[number] if len(names) == 2 else escape(names[number])}</span>'


def summary(names: Sequence[str], found: Set) -> str:
    """What a set says of two models, in words: only a difference that chance would hardly make is called one."""
    before, after = found.worth
    gains = (("chrF", after.chrf - before.chrf), ("BLEU", after.bleu - before.bleu))
    p_of = dict(zip(("BLEU", "chrF"), found.chance or (0.0, 0.0), strict=True))
    sure = [(measure, gain) for measure, gain in gains if abs(gain) >= 0.05 and p_of[measure] <= CERTAIN]
    unsure = [measure for measure, _ in gains if measure not in dict(sure)]
    if not sure:
        return (
            f"On {found.name} the two can't be told apart ({before.chrf:.1f} and {after.chrf:.1f} chrF, "
            f"{before.bleu:.1f} and {after.bleu:.1f} BLEU): chance may have made the difference."
        )
    told = " and ".join(f"{names[int(gain > 0)]} is better by {abs(gain):.1f} {measure}" for measure, gain in sure)
    if len(sure) == 2 and (sure[0][1] > 0) == (sure[1][1] > 0):
        told = f"{names[int(sure[0][1] > 0)]} is better by " + " and ".join(f"{abs(g):.1f} {m}" for m, g in sure)
    return f"On {found.name} {told}; chance would hardly make that difference." + "".join(
        f" In {measure} they can't be told apart." for measure in unsure
    )


def _summary(names: Sequence[str], sets: Sequence[Set]) -> str:
    if not sets:
        return "No test set was given, so nothing was translated: what follows stands in the checkpoints themselves."
    if len(names) == 1:
        return " ".join(
            f"{escape(one.name)}: BLEU {one.worth[0].bleu:.1f}, chrF {one.worth[0].chrf:.1f}." for one in sets
        )
    return " ".join(escape(summary(names, one)) for one in sets)


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """A table whose first ``words`` columns are text and the others numbers; cells are HTML."""

    def kind(column: int) -> str:
        return ' class="n"' if column >= words else ""

    top = "".join(f'<th scope="col"{kind(column)}>{cell}</th>' for column, cell in enumerate(head))
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{cell}</th>' if column == 0 else f"<td{kind(column)}>{cell}</td>"
            for column, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(worth: Worth) -> list[str]:
    promised = "" if worth.promised is None else f"{worth.promised:.2f}"
    return [f"{worth.bleu:.1f}", f"{worth.chrf:.1f}", promised, str(worth.corrected), str(worth.refused)]


def _scores(names: Sequence[str], sets: Sequence[Set]) -> str:
    if not sets:
        return ""
    head = ["set", "model", "sentences", "BLEU", "chrF", "x-score", "corrected", "refused"]
    rows = [
        [escape(one.name), _letter(number, names), str(worth.sentences), *_cells(worth)]
        for one in sets
        for number, worth in enumerate(one.worth)
    ]
    parts = [
        '<p class="dim">BLEU and chrF as sacreBLEU takes them, cased and detokenised, over all references. x-score is '
        "what replies carry: the share of such replies that a reader would call good, as the model sees it.</p>",
        _table("Scores by set", head, rows, words=2),
    ]
    if len(names) == 2:
        rows = [
            [
                escape(one.name),
                _change(one.worth[1].bleu - one.worth[0].bleu),
                _change(one.worth[1].chrf - one.worth[0].chrf),
                *(f"{value:.3f}" for value in one.chance or ()),
            ]
            for one in sets
        ]
        parts.append(
            _table("B against A", ["set", "BLEU", "chrF", "p of BLEU", "p of chrF"], rows)
            + '<p class="dim">p: how often chance alone makes such a difference, by paired bootstrap; below '
            f"{CERTAIN} it counts as a difference.</p>"
        )
    for one in sets:
        values = [(f"{name} words", [worth.chrf for worth in found]) for name, found in one.lengths.items()]
        parts.append(
            f"<h3>{escape(one.name)}, by length</h3>{bars(f'chrF on {one.name} by words of the source', values)}"
        )
        rows = [
            [name, _letter(number, names), str(worth.sentences), *_cells(worth)]
            for name, found in one.lengths.items()
            for number, worth in enumerate(found)
        ]
        parts.append(_table(f"{one.name} by words of the source", ["words", *head[1:]], rows, words=2))
    return "".join(parts)


def _change(value: float) -> str:
    style = "up" if value > 0 else "down"
    return f'<span class="{style}">{value:+.1f}</span>'


def _samples(subjects: Sequence[Subject], sets: Sequence[Set]) -> str:
    return "".join(
        f"<h3>{escape(one.name)}: where {'AB'[number]} is ahead</h3>{_said(subjects, pairs)}"
        for one in sets
        for number, pairs in ((1, one.gained), (0, one.lost))
        if pairs
    )


def _worst(subjects: Sequence[Subject], sets: Sequence[Set]) -> str:
    parts = []
    for number, subject in enumerate(subjects):
        of = f"{'AB'[number]}, " if len(subjects) == 2 else ""
        for one in sets:
            for what, pairs in (
                ("furthest from every reference", one.worst(number)),
                ("bad, and sure of it", one.misleading(number)),
            ):
                if pairs:
                    its = [Pair(pair.example, (pair.answers[number],), (pair.chrf[number],)) for pair in pairs]
                    parts.append(f"<h3>{of}{escape(one.name)}: {what}</h3>{_said([subject], its)}")
    return "".join(parts)


def _said(subjects: Sequence[Subject], pairs: Sequence[Pair]) -> str:
    ours, theirs = (_SHORT.get(code, code) for code in subjects[0].languages)
    items = []
    for pair in pairs:
        lines = [_line("source", pair.example.source, ours), _line("reference", pair.example.references[0], theirs)]
        for number, answer in enumerate(pair.answers):
            told = f"chrF {pair.chrf[number]:.0f}" + ("" if answer.score is None else f", x-score {answer.score:.2f}")
            who = f'<span class="k{number}">{"AB"[number]}</span> {told}' if len(pair.answers) > 1 else told
            lines.append(_line(who, answer.text or f"({answer.error})", theirs, marked=True))
        items.append("<li>" + "".join(lines) + "</li>")
    return f'<ol class="said">{"".join(items)}</ol>'


def _line(who: str, text: str, language: str, *, marked: bool = False) -> str:
    return (
        f'<div><span class="who">{who if marked else escape(who)}</span>'
        f'<span lang="{escape(language)}">{escape(text)}</span></div>'
    )


def _explained(subjects: Sequence[Subject], answers: Sequence[Answers]) -> str:
    if not any(one.sets for one in answers):
        return ""
    parts = [
        "<p>How much less likely each part of a translation becomes when one part of the source is left out (erasure, "
        "Li, Monroe &amp; Jurafsky 2016). Shown in place of attention weights: any network can be asked so, and what a "
        "network attends to need not be what decides.</p>"
    ]
    for subject, said in zip(subjects, answers, strict=True):
        if not said.explained:
            parts.append(
                f"<p class=\"dim\">{escape(subject.name)}: its code can't be asked, or it can't read them.</p>"
            )
        for one in said.explained:
            title = f"{subject.name}: {one.text}"
            parts.append(
                f'<h3>{escape(title)}</h3><div class="wide">{heat(title, one.source, one.target, one.weights)}</div>'
            )
    return "".join(parts)


def _training(subjects: Sequence[Subject]) -> str:
    parts = []
    for subject in subjects:
        told = subject.manifest.get("training", {})
        facts = [
            (name, f"{told[name]:,}" if isinstance(told[name], int) else str(told[name]))
            for name in ("corpus", "pairs", "steps", "tokens", "minutes", "seed", "commit")
            if name in told
        ]
        rows = [[escape(name), escape(value)] for name, value in facts]
        parts.append(f"<h3>{escape(subject.name)}</h3>")
        parts.append(_table("What the manifest says of its training", ["what", "value"], rows, words=2) if rows else "")
        recorded = [
            [escape(name), *(f"{score[measure]:.1f}" if measure in score else "" for measure in ("bleu", "chrf"))]
            for name, score in told.get("scores", {}).items()
        ]
        parts.append(_table("Scores recorded with it", ["set", "BLEU", "chrF"], recorded) if recorded else "")
        parts.append(_curves(subject))
    return "".join(parts)


def _curves(subject: Subject) -> str:
    losses, dev = subject.metrics.get("losses"), subject.metrics.get("dev")
    if not losses and not dev:
        return '<p class="dim">No curves: metrics.json of its training isn\'t beside it.</p>'
    scored = [
        Curve(f"dev {name}", style, [(entry["step"], entry[style]) for entry in dev or ()])
        for name, style in (("BLEU", "bleu"), ("chrF", "chrf"))
        if dev
    ]
    drawn = curves(
        f"Training loss and dev scores of {subject.name}",
        [Curve("loss", "loss", [(step, loss) for step, loss in losses])] if losses else [],
        scored,
        "step",
    )
    return (
        f'{drawn}<p class="dim">Left: training loss, nats a token (grey). Right: dev BLEU (blue) and chrF (orange).</p>'
    )


def _sizes(subjects: Sequence[Subject]) -> str:
    parts = []
    for subject in subjects:
        files = [(file.name, file.stat().st_size) for file in sorted(subject.checkpoint.iterdir()) if file.is_file()]
        rows = [[escape(name), size(count)] for name, count in files]
        rows.append(["in all", size(sum(count for _, count in files))])
        parts.append(f"<h3>{escape(subject.name)}</h3>{_table('Files of the checkpoint', ['file', 'size'], rows)}")
        parts.append(_tensors(subject))
        if subject.layers:
            others = {digest for other in subjects if other is not subject for _, _, digest in other.layers}
            rows = [
                [escape(holds), size(count), "yes" if digest in others else ""]
                for holds, count, digest in subject.layers
            ]
            head = ["holds", "compressed", "the other has it"] if len(subjects) == 2 else ["holds", "compressed"]
            parts.append(_table("Layers of the image", head, [row[: len(head)] for row in rows]))
    return "".join(parts)


def _tensors(subject: Subject) -> str:
    """Numbers in the weights, by the first part of their names."""
    found: dict[str, int] = {}
    for name, told in subject.manifest.get("tensors", {}).items():
        count = 1
        for side in told[told.index("[") + 1 : -1].split(","):
            count *= int(side) if side.strip() else 1
        part = ".".join(name.split(".")[:2])
        found[part] = found.get(part, 0) + count
    rows = [[escape(part), f"{count:,}"] for part, count in sorted(found.items(), key=lambda one: -one[1])]
    rows.append(["in all", f"{sum(found.values()):,}"])
    return _table("Numbers in the weights", ["part", "numbers"], rows)


def _speed(names: Sequence[str], answers: Sequence[Answers], processor: str) -> str:
    if not any(one.batched for one in answers):
        return ""
    rows = [[_named(names)[number], f"{said.batched:,.0f}", f"{said.alone:.1f}"] for number, said in enumerate(answers)]
    ratio = ""
    if len(answers) == 2 and answers[0].batched and answers[0].alone:
        ratio = (
            f"<p>In batches B does {answers[1].batched / answers[0].batched:.2f} times as much as A, "
            f"and one sentence takes it {answers[1].alone / answers[0].alone:.2f} times as long.</p>"
        )
    return (
        _table("Processor time of one thread", ["model", "sentences/s in batches of 32", "ms a sentence alone"], rows)
        + ratio
        + f'<p class="dim">Measured one after the other in this run, on {escape(processor)}.</p>'
    )


def _models(subjects: Sequence[Subject]) -> str:
    wanted = ("version", "source", "target", "architecture", "weights")
    parts = []
    for subject in subjects:
        facts = [(name, subject.manifest.get(name)) for name in wanted]
        facts += [(f"config {name}", value) for name, value in subject.manifest.get("config", {}).items()]
        facts += [(f"serving {name}", value) for name, value in (subject.manifest.get("serving") or {}).items()]
        rows = [[escape(name), escape(str(value))] for name, value in facts if value is not None]
        parts.append(f"<h3>{escape(subject.name)}</h3>{_table('From its manifest', ['what', 'value'], rows, words=2)}")
    return "".join(parts)
