"""The bootstrap by image: weights must give what repeated images would."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from common.metrics.detection import average_precision, evaluate
from common.metrics.matching import Detections, Truth, match_image
from common.metrics.resampling import draw_images, interval, pivotal, resampled_mean, resampled_precision


def made(seed: int, images: int = 12, n: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores that fall, hits, images, and objects of each image (some never found)."""
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.random(n))[::-1]
    hits, image = rng.random(n) < scores, rng.integers(0, images, n)
    return scores, hits, image, np.bincount(image[hits], minlength=images) + rng.integers(0, 2, images)


def test_draws_repeat_with_the_seed_and_sum_to_the_images() -> None:
    draws = draw_images(7, seed=3, replicates=50)
    assert draws.shape == (7, 50)
    assert (draws.sum(axis=0) == 7).all()
    assert (draws == draw_images(7, seed=3, replicates=50)).all()
    assert draws.mean() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_weights_give_what_repeated_images_would(seed: int) -> None:
    scores, hits, image, objects = made(seed)
    draws = draw_images(len(objects), seed, replicates=20)
    values = resampled_precision(hits, image, objects, draws)
    plain = resampled_precision(hits, image, objects, draws, envelope=False)
    for replicate, drawn in enumerate(draws.T.astype(int)):
        again = np.repeat(np.arange(len(hits)), drawn[image])
        assert values[replicate] == pytest.approx(
            average_precision(hits[again], int(drawn @ objects)), abs=1e-6
        )
        found = int(hits[again].sum()) / int(drawn @ objects)
        peer = average_precision_score(hits[again], scores[again]) * found
        assert plain[replicate] == pytest.approx(peer, abs=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, hits, image, objects = made(1)
    draws = draw_images(len(objects), 0, replicates=33)
    whole = resampled_precision(hits, image, objects, draws)
    monkeypatch.setattr("common.metrics.resampling.BLOCK", 5 * int(hits.sum()))
    assert resampled_precision(hits, image, objects, draws).tolist() == whole.tolist()


def test_no_detection_is_zero_and_no_object_is_unknown() -> None:
    none, draws = np.zeros(0, bool), np.array([[2.0, 0.0], [0.0, 2.0]], np.float32)
    image = np.zeros(0, int)
    values = resampled_precision(none, image, np.array([3, 0]), draws)
    assert values[0] == 0
    assert np.isnan(values[1])
    missed = resampled_precision(np.zeros(2, bool), np.array([0, 1]), np.array([1, 1]), draws)
    assert missed.tolist() == [0, 0]


def test_intervals_are_percentiles_of_what_is_known() -> None:
    assert interval(np.array([*range(1001), np.nan])) == pytest.approx((25, 975))
    assert np.isnan(interval(np.array([np.nan]))).all()


def test_the_resampled_score_is_the_score_of_the_images_drawn() -> None:
    rng = np.random.default_rng(4)
    matches = []
    for _ in range(9):
        classes = rng.integers(0, 4, 6)
        truth = Truth(classes, np.zeros(6, bool), np.eye(6, dtype=np.float32), np.ones(19, bool))
        detections = Detections(np.tile(np.arange(19), 6), rng.random(6 * 19), np.repeat(np.arange(6), 19))
        matches.append(match_image(detections, truth))
    draws = draw_images(9, seed=1, replicates=15)
    values = resampled_mean(evaluate(matches), draws)
    for value, drawn in zip(values, draws.T.astype(int), strict=True):
        again = [match for match, times in zip(matches, drawn, strict=True) for _ in range(times)]
        assert value == pytest.approx(evaluate(again).mAP, abs=1e-6)


def test_a_reflected_interval_turns_the_error_of_resamples_round() -> None:
    values = np.arange(1001) / 1000  # centred on .5, for an estimate of .4
    assert pivotal(values, 0.4) == pytest.approx((0.8 - 0.975, 0.8 - 0.025))
