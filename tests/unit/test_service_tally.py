"""A deploy can ask a replica what it answered."""

import json
from pathlib import Path

from service.tally import BOUNDS_SECONDS, Tally


def test_a_tally_holds_what_was_processed_by_status_and_by_time_in_hand(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "tally")
    for status, seconds in (("ok", 0.005), ("ok", 0.3), ("empty", 0.0001), ("ok", 40.0)):
        tally.processed(status, seconds)
    tally.write()
    numbers = json.loads((tmp_path / "tally").read_text())
    assert numbers["statuses"] == {"ok": 3, "empty": 1}
    assert sum(numbers["buckets"]) == 4
    assert (numbers["buckets"][0], numbers["buckets"][-1]) == (2, 1)
    assert numbers["buckets"][BOUNDS_SECONDS.index(0.5)] == 1


def test_a_tally_holds_how_translations_scored(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "tally")
    assert json.loads((tmp_path / "tally").read_text())["scores"] == [0, 0.0, 0.0]
    tally.scored(0.5)
    tally.scored(0.9)
    tally.write()
    assert json.loads((tmp_path / "tally").read_text())["scores"] == [2, 1.4, 1.06]


def test_a_tally_starts_at_nothing_when_the_process_starts_again(tmp_path: Path) -> None:
    Tally(tmp_path / "tally").processed("ok", 1.0)
    Tally(tmp_path / "tally")
    assert json.loads((tmp_path / "tally").read_text())["statuses"] == {}


def test_the_numbers_are_never_longer_than_their_place(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "tally")
    statuses = ("ok", "empty", "no-letters", "too-long", "unknown-script", "not-utf8", "content-encoding", "reply-to")
    for status in (*statuses, "crashed", "content-type", "expired", "unsure"):
        for _ in range(10):
            tally.processed(status, 1.0)
    tally._buckets = [10**12] * len(tally._buckets)
    tally._statuses.update(dict.fromkeys(tally._statuses, 10**12))
    tally._scores = [10**12, 10**12 - 0.1234, 10**12 - 0.1234]
    tally.write()
    assert (tmp_path / "tally").stat().st_size == 1024
