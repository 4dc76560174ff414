"""Drawings in SVG that stand in a page: bars, curves, a heat map. Colours are the page's (``style.STYLE``).

Each has a title that a screen reader says, and its numbers stand in a table beside it or in a ``<title>`` of each mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 640  # of all but the heat map, in the drawing's own units; a page scales it
_BAR, _GAP, _NAMES = 16, 10, 150
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 240, 52, 52, 14, 34
_CELL = 26


@dataclass(frozen=True)
class Curve:
    """A line: its name, its class in the style, and ``points`` of x and y."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]


def bars(title: str, rows: Sequence[tuple[str, Sequence[float | None]]], unit: str = "") -> str:
    """A group of bars for each row, one for each model.

    Args:
        rows: what it is of, and a value (at least 0) for each model; None where there is none.
    """
    most = max((value for _, values in rows for value in values if value), default=1.0)
    parts, y = [], _GAP / 2
    for name, values in rows:
        middle = y + len(values) * _BAR / 2
        parts.append(f'<text x="{_NAMES - 8}" y="{middle:.0f}" text-anchor="end" class="mid">{escape(name)}</text>')
        for number, value in enumerate(values):
            if value is not None:
                length, told = (WIDTH - _NAMES - 70) * value / most, f"{value:,.1f}{escape(unit)}"
                parts.append(
                    f'<rect x="{_NAMES}" y="{y:.0f}" width="{length:.1f}" height="{_BAR - 2}" class="m{number}"/>'
                    f'<text x="{_NAMES + length + 6:.1f}" y="{y + _BAR / 2:.0f}" class="mid">{told}</text>'
                )
            y += _BAR
        y += _GAP
    return _svg(title, WIDTH, y, parts)


def curves(title: str, left: Sequence[Curve], right: Sequence[Curve], across: str) -> str:
    """Curves over the same axis, those on the ``right`` with a scale of their own there."""
    every = [*left, *right]
    first, last = _range([x for curve in every for x, _ in curve.points])

    def across_of(x: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (x - first) / (last - first)

    parts = [
        f'<line x1="{_LEFT}" y1="{_HEIGHT - _BOTTOM}" x2="{WIDTH - _RIGHT}" y2="{_HEIGHT - _BOTTOM}" class="axis"/>',
        f'<text x="{WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(across)}</text>',
        *(
            f'<text x="{across_of(x):.0f}" y="{_HEIGHT - _BOTTOM + 15}" text-anchor="{anchor}">{x:,.0f}</text>'
            for x, anchor in ((first, "start"), (last, "end"))
        ),
    ]
    for side, where, anchor in ((left, _LEFT - 6, "end"), (right, WIDTH - _RIGHT + 6, "start")):
        if side:
            low, high = _range([y for curve in side for _, y in curve.points])
            for value in (low, (low + high) / 2, high):
                y = _up(value, low, high)
                parts.append(f'<text x="{where}" y="{y:.0f}" text-anchor="{anchor}" class="mid">{value:.3g}</text>')
            for curve in side:
                points = " ".join(f"{across_of(x):.1f},{_up(y, low, high):.1f}" for x, y in curve.points)
                parts.append(
                    f'<polyline points="{points}" class="{curve.style}"><title>{escape(curve.name)}</title></polyline>'
                )
    return _svg(title, WIDTH, _HEIGHT, parts)


def heat(title: str, across: Sequence[str], down: Sequence[str], weights: Sequence[Sequence[float]]) -> str:
    """A square for each pair, the darker the heavier: ``weights (down, across)``, 0 to 1."""
    left = 12 + 8 * max(map(len, down), default=1)
    top = 12 + 7 * max(map(len, across), default=1)
    parts = []
    for number, name in enumerate(across):
        x = left + _CELL * number + _CELL / 2
        parts.append(f'<text x="{x:.0f}" y="{top - 6}" transform="rotate(-60 {x:.0f} {top - 6})">{escape(name)}</text>')
    for row, (name, values) in enumerate(zip(down, weights, strict=True)):
        y = top + _CELL * row
        parts.append(
            f'<text x="{left - 6}" y="{y + _CELL / 2:.0f}" text-anchor="end" class="mid">{escape(name)}</text>'
        )
        for column, weight in enumerate(values):
            parts.append(
                f'<rect x="{left + _CELL * column}" y="{y}" width="{_CELL - 1}" height="{_CELL - 1}" class="heat" '
                f'fill-opacity="{max(0.04, min(1.0, weight)):.2f}">'
                f"<title>{escape(name)} ← {escape(across[column])}: {weight:.0%}</title></rect>"
            )
    width = left + _CELL * len(across) + top  # the last name leans over the edge
    return _svg(title, width, top + _CELL * len(down) + 4, parts, scaled=False)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _up(value: float, low: float, high: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)


def _svg(title: str, width: float, height: float, parts: Sequence[str], *, scaled: bool = True) -> str:
    style = "scaled" if scaled else "own"
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" class="{style}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
