"""Every row of the fault table is a test."""

import re
from pathlib import Path

from faults.rows import ROWS

FAULTS = Path(__file__).resolve().parents[1] / "faults"


def test_every_row_has_its_test() -> None:
    source = "".join(path.read_text("utf-8") for path in sorted(FAULTS.glob("test_*.py")))
    assert sorted(re.findall(r'\b(?:fault|case)\(\s*"([^"]+)"', source)) == sorted(ROWS)
