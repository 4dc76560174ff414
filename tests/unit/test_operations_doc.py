"""docs/operations.md says what the code does: settings and their defaults, exit codes, events, metrics."""

import dataclasses
import re
from pathlib import Path

import pytest

from service.metrics import NAMESPACE, WITHOUT_PREFIX
from service.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SOURCE = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "service").glob("*.py")))


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a heading, without code marks."""
    section = TEXT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in table[2:]]


def test_it_names_every_setting_with_its_default() -> None:
    documented = {name: "" if default == "none" else default for name, default, _ in rows("Settings")}
    actual = {field.name.upper(): field.default for field in dataclasses.fields(Settings)}
    assert documented == {
        name: "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in actual.items()
    }


def test_it_names_every_exit_code() -> None:
    documented = {int(code) for code, *_ in rows("Exit codes")}
    assigned = re.findall(r"^(?:EXIT_| +exit_code: ClassVar).* = (.*)$", SOURCE, re.MULTILINE)
    in_code = {int(code) for codes in assigned for code in codes.split(", ")}
    assert documented == (in_code - {64}) | {137}  # 64 is for a wrong command line, 137 is the kernel's


def test_it_names_every_event() -> None:
    documented = [event for cell, *_ in rows("Logs") for event in re.split(r", (?=[a-z]+(?:,|$| to ))", cell)]
    for event in documented:
        assert f'"{event.removesuffix("…").strip()}' in SOURCE, event
    written = re.findall(r'log\.(?:info|warning|error)\(\s*"([^"]+)"', SOURCE)
    beginnings = tuple(event.removesuffix("…").strip() for event in documented)
    assert [event for event in written if not event.startswith(beginnings)] == []


@pytest.mark.parametrize("kind", ["Counter", "Gauge", "Histogram", "Info"])
def test_it_names_every_metric(kind: str) -> None:
    suffix = {"Counter": "_total", "Info": "_info"}.get(kind, "")
    names = re.findall(rf'{kind}\(\s*"(\w+)"', SOURCE)
    assert names
    documented = {re.sub(r"\{.*", "", name) for name, _ in rows("Metrics")}
    assert {f"{NAMESPACE}_{name}{suffix}" for name in names} <= documented


def test_alerts_ask_for_metrics_by_the_names_that_stay() -> None:
    rules = TEXT.split("\n    groups:\n", 1)[1].split("\n\n", 1)[0]
    old = "|".join(sorted(WITHOUT_PREFIX))
    assert re.search(rf"{NAMESPACE}_(?:{old})", rules)
    assert re.findall(rf"(?<!{NAMESPACE}_)\b(?:{old})(?:_|\b)", rules) == []
