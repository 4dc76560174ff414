"""Whether a new version may stay is decided by numbers; these tests give them."""

import pytest

from build_model.operation.deploy import Rollout
from build_model.operation.observe import Comparison, Numbers

BOUNDS = (0.01, 0.1, 1.0)


def numbers(ok: int = 0, empty: int = 0, buckets: tuple[int, ...] = ()) -> Numbers:
    return Numbers({"ok": ok, "empty": empty}, BOUNDS, buckets or (ok + empty, 0, 0, 0))


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (numbers(0, 10), numbers(1000)),  # too few answers to say anything
        (numbers(1000, 30), numbers(1000, 20)),
        (numbers(20, 2), numbers(200, 4)),  # 9 % of 22 is chance
        (numbers(500, 500), numbers(400, 600)),  # the traffic is so
        (numbers(1000, buckets=(0, 950, 50, 0)), numbers(1000)),  # slower, and fast enough
        (numbers(1000), Numbers()),  # the old version keeps no tally
    ],
)
def test_a_version_that_answers_like_the_one_beside_it_stays(new: Numbers, old: Numbers) -> None:
    assert Comparison(new, old).reason() is None


def test_a_version_that_fails_what_the_other_translates_goes() -> None:
    reason = Comparison(numbers(60, 40), numbers(200, 2)).reason()
    assert reason == "it couldn't translate 40 of 100 requests, what runs beside it 2 of 202"


def test_a_version_that_is_much_slower_than_the_other_goes() -> None:
    reason = Comparison(numbers(100, buckets=(0, 0, 100, 0)), numbers(100, buckets=(100, 0, 0, 0))).reason()
    assert reason == "95 % of its answers took up to 1 s, of what runs beside it up to 0.01 s"
    endless = Comparison(numbers(100, buckets=(0, 0, 0, 100)), numbers(100)).reason()
    assert endless is not None
    assert "more than 30 s" in endless


def scored(count: int, mean: float, deviation: float = 0.2) -> Numbers:
    squares = count * (mean**2 + deviation**2)
    return Numbers({"ok": count}, BOUNDS, (count, 0, 0, 0), (count, count * mean, squares))


def test_a_version_whose_replies_are_worse_goes() -> None:
    reason = Comparison(scored(100, 0.41), scored(200, 0.63)).reason()
    assert reason == "its replies score 0.41 on average, those of what runs beside it 0.63 (x-score)"


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (scored(1000, 0.60), scored(1000, 0.63)),  # a little worse
        (scored(25, 0.50), scored(25, 0.63)),  # that may be chance
        (scored(5, 0.10), scored(200, 0.63)),  # too few to say anything
        (scored(100, 0.41), numbers(200)),  # the old version's replies have no score that means the same
        (scored(100, 0.8), scored(100, 0.6)),
    ],
)
def test_a_version_whose_replies_are_as_good_stays(new: Numbers, old: Numbers) -> None:
    assert Comparison(new, old).reason() is None


def test_scores_that_were_given_before_dont_count() -> None:
    after, before = scored(150, 0.5), scored(100, 0.6)
    assert after.since(before).mean_score == pytest.approx(0.3)
    assert (scored(100, 0.6) + scored(100, 0.4)).mean_score == pytest.approx(0.5)


def test_what_was_answered_before_doesnt_count_and_a_process_that_started_again_counts_from_nothing() -> None:
    before, after = numbers(100, 5), numbers(160, 6)
    assert after.since(before) == Numbers({"ok": 60, "empty": 1}, BOUNDS, (61, 0, 0, 0))
    assert numbers(3).since(before) == numbers(3)
    assert (numbers(3) + Numbers() + numbers(4, 1)).answered == 8


@pytest.mark.parametrize("text", ["", "No such command", "[]", '{"statuses": {}}'])
def test_a_replica_that_keeps_no_tally_says_nothing(text: str) -> None:
    assert Numbers.parse(text) == Numbers()


@pytest.mark.parametrize(
    ("rollout", "steps"),
    [
        (Rollout(), [(3, 10.0)]),
        (Rollout(observe_seconds=60), [(3, 60)]),
        (Rollout(canary=1, observe_seconds=60), [(1, 60), (2, 10.0)]),
        (Rollout(canary=1, observe_seconds=5), [(1, 5), (2, 5)]),
        (Rollout(canary=3, observe_seconds=60), [(3, 60)]),
        (Rollout(canary=9, observe_seconds=60), [(3, 60)]),
    ],
)
def test_a_canary_comes_first_and_is_watched_for_as_long_as_was_asked(
    rollout: Rollout, steps: list[tuple[int, float]]
) -> None:
    assert rollout.steps(3) == steps


def test_a_deploy_that_starts_nothing_watches_nothing() -> None:
    assert Rollout(canary=1).steps(0) == []
