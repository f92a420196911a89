"""Time of the bootstrap interval of mAP, against the score itself and against scoring the drawn images anew.

python -m benchmarks.resampling
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from common.classes import CLASSES
from common.metrics.detection import Result, evaluate
from common.metrics.matching import Detections, Matches, Truth, match_image
from common.metrics.resampling import REPLICATES, draw_images, resampled_mean

SIZES = {"demo's test part": 64, "competition's": 1776, "full training part": 25_000}
CELLS, REPEATS = 20, 3


def made(images: int) -> list[Matches]:
    """Images of 20 cells with 1.3 classes each on the mean, every cell scored for every class."""
    rng = np.random.default_rng(0)
    classes, cells = len(CLASSES), np.arange(CELLS)
    matches = []
    for _ in range(images):
        labels = rng.random((CELLS, classes)) < 1.3 / classes
        cell, class_id = np.nonzero(labels)
        overlap = (cells[:, None] == cell).astype(np.float32)
        truth = Truth(class_id, np.zeros(len(cell), bool), overlap, np.ones(classes, bool))
        scores = (0.3 * labels + 0.7 * rng.random(labels.shape)).ravel()
        matches.append(
            match_image(Detections(np.tile(np.arange(classes), CELLS), scores, cells.repeat(classes)), truth)
        )
    return matches


def timed(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def main() -> None:
    """Print a line a size."""
    print(f"{REPLICATES} resamples")
    for name, images in SIZES.items():
        matches = made(images)
        result: Result = evaluate(matches)
        drawn = np.random.default_rng(0).integers(0, images, images)
        once = timed(lambda: evaluate(matches))  # noqa: B023
        anew = timed(lambda: evaluate([matches[i] for i in drawn]), 1) * REPLICATES  # noqa: B023
        ours = timed(lambda: resampled_mean(result, draw_images(images, 0)))  # noqa: B023
        print(
            f"{name:<20} {images:>6} images: {ours:7.2f} s, {ours / once:.1f} x the score, "
            f"{anew / ours:.0f} x faster than anew"
        )


if __name__ == "__main__":
    main()
