"""What a reply's score means: the share of such replies that are good."""

import math
from random import Random

import pytest

from build_model.training.calibration import calibrate, good
from build_model.training.corpus import Example
from model.calibration import Calibration


def test_a_calibrated_score_is_the_share_of_such_replies_that_are_good() -> None:
    random, truth = Random(1), Calibration(slope=6.0, offset=2.0)
    surenesses = [-random.random() * 1.5 for _ in range(20_000)]
    rights = [random.random() < truth.share(sureness) for sureness in surenesses]
    fitted = calibrate(surenesses, rights)
    assert fitted is not None
    said = sorted((fitted.share(sureness), right) for sureness, right in zip(surenesses, rights, strict=True))
    for start in range(0, len(said), 2_000):  # of ten kinds of replies, from the least sure to the surest
        part = said[start : start + 2_000]
        assert sum(share for share, _ in part) / len(part) == pytest.approx(
            sum(right for _, right in part) / len(part), abs=0.03
        )


def test_a_surer_reply_never_scores_lower() -> None:
    curve = Calibration(slope=5.0, offset=1.0)
    shares = [curve.share(-step / 10) for step in range(200, -1, -1)]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.001
    assert shares[-1] == pytest.approx(1 / (1 + math.exp(-1)))
    assert curve.share(-math.inf) == 0.0


@pytest.mark.parametrize(
    ("surenesses", "rights"),
    [
        ([-0.5] * 10, [True, False] * 5),  # too few
        ([-0.1 * n for n in range(100)], [True] * 100),  # nothing to tell apart
        ([-0.1 * n for n in range(100)], [n > 50 for n in range(100)]),  # surer is worse
    ],
)
def test_what_says_nothing_gives_no_calibration(surenesses: list[float], rights: list[bool]) -> None:
    assert calibrate(surenesses, rights) is None


def test_good_and_bad_that_dont_overlap_give_a_finite_curve() -> None:
    curve = calibrate([-0.01 * n for n in range(200)], [n < 100 for n in range(200)])
    assert curve is not None
    assert curve.share(0.0) > 0.99
    assert curve.share(-1.99) < 0.01


@pytest.mark.parametrize(
    ("translation", "right"),
    [
        ("I'm going to sleep.", True),
        ("I am going to bed.", True),
        ("I'm going to the bed now.", True),
        ("I come from sleeping.", False),
        ("", False),
    ],
)
def test_a_translation_is_good_where_it_is_near_one_of_its_references(translation: str, right: bool) -> None:
    references = ("I'm going to sleep.", "I'm going to bed.", "I am going to bed.")
    assert good(translation, Example("Je vais dormir.", references)) is right
