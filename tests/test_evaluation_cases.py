"""Every case of the reference evaluator comes out as the reference scored it."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.evaluation import evaluate_files, score_files
from common.metrics.detection import average_precision
from common.metrics.matching import MODES, Mode
from common.rle import to_mask

CASES = ("c1_base", "c2_ties", "c5_iou_exact")
Order = Callable[[np.ndarray], np.ndarray]


def reference_order(scores: np.ndarray) -> np.ndarray:
    return np.argsort(scores)[::-1]


def sorts_ties_like_the_reference() -> bool:
    """Whether numpy leaves ties here as where the cases were made (any processor with AVX2)."""
    return reference_order(np.array([0.0, 1, 0, 1, 0, 1, 0, 1, 1, 0])).tolist() == [
        8,
        7,
        1,
        5,
        3,
        9,
        4,
        6,
        2,
        0,
    ]


def needs_the_reference_order(case: str) -> None:
    if case == "c2_ties" and not sorts_ties_like_the_reference():
        pytest.skip("numpy sorts ties differently on this processor; only the bounds are defined")


def expected_of(shared: Path, case: str, mode: Mode) -> dict[str, Any]:
    return json.loads((shared / "oracle" / case / "expected.json").read_text())["modes"][mode]


def close(values: np.ndarray, expected: list[float], within: float) -> None:
    np.testing.assert_allclose(values, np.array(expected, dtype=float), rtol=0, atol=within)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_every_case_equals_the_reference(shared: Path, case: str, mode: Mode) -> None:
    needs_the_reference_order(case)
    expected, folder = expected_of(shared, case, mode), shared / "oracle" / case
    report = evaluate_files(folder / "submission.csv", folder / "gt.csv", mode)
    values = [math.nan if report["AP"][str(k)] is None else report["AP"][str(k)] for k in range(19)]
    close(np.array(values), expected["AP"], 1e-9)
    assert report["mAP"] == pytest.approx(expected["mAP_nanmean"], abs=1e-9)
    assert report["mAP_19"] == pytest.approx(expected["mAP_div19"], abs=1e-9)
    assert list(report) == ["mode", "mAP", "mAP_19", "AP", "ties"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_the_bounds_and_counts_of_every_case_equal_the_reference(shared: Path, case: str, mode: Mode) -> None:
    expected, folder = expected_of(shared, case, mode), shared / "oracle" / case
    result = score_files(folder / "submission.csv", folder / "gt.csv", mode)
    close(result.AP_best, expected["ties"]["best"]["AP"], 1e-12)
    close(result.AP_worst, expected["ties"]["worst"]["AP"], 1e-12)
    assert result.best == pytest.approx(expected["ties"]["best"]["mAP_nanmean"], abs=1e-12)
    assert result.worst == pytest.approx(expected["ties"]["worst"]["mAP_nanmean"], abs=1e-12)
    for name in ("num_gt", "num_det", "num_tp"):
        assert getattr(result, name).tolist() == expected[name]


def pixels_of(path: Path) -> list[dict[str, Any]]:
    """The images of a case as pixels: detections (class, score, mask) and objects (class, mask) of each."""
    truth = list(csv.DictReader((path / "gt.csv").open()))
    images = []
    for row in csv.DictReader((path / "submission.csv").open()):
        size = int(row["ImageHeight"]), int(row["ImageWidth"])
        words = row["PredictionString"].split()
        texts = list(dict.fromkeys(words[2::3]))
        mine = [record for record in truth if record["ImageID"] == row["ID"]]
        masks = np.array([to_mask(text, *size).ravel() for text in texts], dtype=np.float32)
        objects = np.array([to_mask(record["Mask"], *size).ravel() for record in mine], dtype=np.float32)
        both = masks @ objects.T
        images.append(
            {
                "class_id": np.array(words[::3], dtype=int),
                "score": np.array(words[1::3], dtype=float),
                "mask": np.array([texts.index(text) for text in words[2::3]]),
                "objects": np.array([int(record["LabelName"]) for record in mine]),
                "iou": both / (masks.sum(axis=1)[:, None] + objects.sum(axis=1)[None] - both),
            }
        )
    return images


def loop_over_pixels(images: list[dict[str, Any]], class_id: int, mode: Mode, pooled: Order) -> float:
    """The reference's procedure written plainly, with the order of the pool given."""
    scores, hits, count = [], [], 0
    for image in images:
        objects = np.flatnonzero(image["objects"] == class_id)
        count += len(objects)
        mine = np.flatnonzero(image["class_id"] == class_id)
        if mode == "mask_gt" and not len(objects):
            continue
        taken = set()
        for d in mine[reference_order(image["score"][mine])]:
            iou = image["iou"][image["mask"][d], objects]
            best = int(iou.argmax()) if len(objects) else -1
            hit = best >= 0 and iou[best] >= np.float32(0.6) and best not in taken
            taken |= {best} if hit else set()
            scores.append(image["score"][d])
            hits.append(hit)
    return average_precision(np.array(hits, dtype=bool)[pooled(np.array(scores))], count)


@pytest.mark.parametrize("mode", MODES)
def test_a_loop_over_pixels_gives_the_tie_orders_of_the_reference(shared: Path, mode: Mode) -> None:
    needs_the_reference_order("c2_ties")
    expected, images = expected_of(shared, "c2_ties", mode)["ties"], pixels_of(shared / "oracle" / "c2_ties")
    orders: dict[str, Order] = {
        "stable": lambda scores: np.argsort(scores, kind="stable")[::-1],
        "fwd": lambda scores: np.argsort(-scores, kind="stable"),
    }
    for name, order in orders.items():
        values = [loop_over_pixels(images, class_id, mode, order) for class_id in range(19)]
        close(np.array(values), expected[name]["AP"], 1e-9)
