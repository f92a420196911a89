"""Images for tests of the competition's score, drawn or written by hand, and a plain loop that scores them."""

import math

import numpy as np
from hypothesis import strategies as st

from common.metrics.detection import Result, evaluate
from common.metrics.matching import Detections, Mode, Truth, match_image

Image = tuple[Detections, Truth]


def image_of(
    detections: list[tuple[int, float, int]],
    truth: list[int],
    overlap: list[list[float]],
    group_of: list[bool] | None = None,
    named: list[int] | None = None,
) -> Image:
    """One image: (class, score, mask row) of each detection, class of each object, their overlaps."""
    class_id, score, mask = (
        (np.array(column) for column in zip(*detections, strict=True)) if detections else ([],) * 3
    )
    names = np.zeros(19, dtype=bool)
    names[truth + (named or [])] = True
    return (
        Detections(
            np.array(class_id, dtype=np.int64), np.array(score, dtype=np.float64), np.array(mask, np.int64)
        ),
        Truth(
            np.array(truth, dtype=np.int64),
            np.array(group_of or [False] * len(truth), dtype=bool),
            np.array(overlap, dtype=np.float32).reshape(len(overlap), len(truth)),
            names,
        ),
    )


def score(images: list[Image], mode: Mode = "mask_all") -> Result:
    return evaluate([match_image(detections, truth, mode) for detections, truth in images])


def loop_matches(images: list[Image], class_id: int, mode: Mode) -> tuple[list[tuple[float, bool]], int]:
    """The specification's matching, one detection at a time: score and hit of each, and how many objects."""
    found: list[tuple[float, bool]] = []
    count = 0
    for detections, truth in images:
        objects = [t for t, c in enumerate(truth.class_id) if c == class_id and not truth.group_of[t]]
        groups = [t for t, c in enumerate(truth.class_id) if c == class_id and truth.group_of[t]]
        count += len(objects)
        if mode == "mask_gt" and not truth.named[class_id]:
            continue
        taken = set()
        mine = [d for d, c in enumerate(detections.class_id) if c == class_id]
        for d in sorted(mine, key=lambda d: -detections.score[d]):
            overlaps = truth.overlap[detections.mask[d]]
            best = max(objects, key=lambda t: overlaps[t], default=None)
            if best is not None and overlaps[best] >= np.float32(0.6) and best not in taken:
                taken.add(best)
                found.append((detections.score[d], True))
            elif not any(overlaps[t] >= np.float32(0.6) for t in groups):
                found.append((detections.score[d], False))
    return found, count


def loop_area(hits: list[bool], count: int) -> float:
    precision = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits))]
    return sum(max(precision[k:]) for k, hit in enumerate(hits) if hit) / count if count else math.nan


def loop_average_precision(images: list[Image], class_id: int, mode: Mode) -> float:
    """For scores without ties."""
    found, count = loop_matches(images, class_id, mode)
    return loop_area([hit for _, hit in sorted(found, key=lambda pair: -pair[0])], count)


@st.composite
def images(draw: st.DrawFn, levels: int | None = None) -> list[Image]:
    """Up to four images of three classes; scores distinct, or of a few levels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = []
    for _ in range(draw(st.integers(1, 4))):
        masks, objects, n = rng.integers(1, 5), rng.integers(0, 5), rng.integers(0, 12)
        scores = rng.random(n) if levels is None else rng.integers(0, levels, n) / levels
        rows = list(
            zip(
                rng.integers(0, 3, n).tolist(),
                scores.tolist(),
                rng.integers(0, masks, n).tolist(),
                strict=True,
            )
        )
        truth = rng.integers(0, 3, objects).tolist()
        group_of = (rng.random(objects) < 0.25).tolist()
        overlap = rng.choice([0, 0.3, 0.6, 0.8, 1], (masks, objects)).tolist()
        made.append(image_of(rows, truth, overlap, group_of, rng.integers(0, 3, 1).tolist()))
    return made
