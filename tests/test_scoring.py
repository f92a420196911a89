"""The scorer: what it gives to the perfect, the worthless and the unknown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score

from common.cells import cell_mask_path
from common.classes import CLASSES, PROBABILITIES
from common.images import write_png
from common.scoring import CURVE_POINTS, Guess, by_class, entry_text, rounded, score_part

CELLS_OF = {"a": 4, "b": 3, "c": 5}


def grid_mask(cells: int) -> np.ndarray:
    mask = np.zeros((40, 12 * cells), np.uint16)
    for cell_id in range(1, cells + 1):
        mask[4:36, 12 * cell_id - 11 : 12 * cell_id - 1] = cell_id
    return mask


@pytest.fixture
def truth(tmp_path: Path) -> pd.DataFrame:
    """Random classes of the cells of three images; masks in ``masks`` and ``truth``."""
    rng = np.random.default_rng(2)
    for folder in ("masks", "truth"):
        (tmp_path / folder).mkdir()
        for image_id, cells in CELLS_OF.items():
            write_png(cell_mask_path(tmp_path / folder, image_id), grid_mask(cells))
    keys = [(image_id, cell_id) for image_id, cells in CELLS_OF.items() for cell_id in range(1, cells + 1)]
    classes = (rng.random((len(keys), len(CLASSES))) < 0.2).astype(int)
    classes[np.arange(len(keys)), rng.integers(0, 5, len(keys))] = 1
    return pd.DataFrame(keys, columns=["image_id", "cell_id"]).join(
        pd.DataFrame(classes, columns=list(PROBABILITIES))
    )


def images_of(truth: pd.DataFrame, labelled: bool = True) -> pd.DataFrame:
    shows = truth.groupby("image_id")[list(PROBABILITIES)].max()
    labels = [np.flatnonzero(row).tolist() if labelled else [] for row in shows.to_numpy()]
    return pd.DataFrame({"image_id": shows.index, "labels": labels})


def score(
    tmp_path: Path, predictions: pd.DataFrame, images: pd.DataFrame, truth: pd.DataFrame
) -> dict[str, Any]:
    result = score_part(Guess(predictions, tmp_path / "masks"), images, truth, tmp_path / "truth", 0.5)
    assert result is not None
    json.dumps(result, allow_nan=False)  # an entry of the board
    return result


def test_published_image_probabilities_stand_for_the_highest_of_the_cells(
    tmp_path: Path, truth: pd.DataFrame
) -> None:
    images = images_of(truth)
    rng = np.random.default_rng(0)
    guess = truth.assign(**{name: rng.random(len(truth)) for name in PROBABILITIES})
    perfect = truth.groupby("image_id")[list(PROBABILITIES)].max().astype(float).reset_index()
    own, given = (
        score_part(Guess(guess, tmp_path / "masks", of), images, truth, tmp_path / "truth", 0.5)
        for of in (None, perfect[::-1])
    )
    assert own is not None
    assert given is not None
    assert given["weak"]["image_ap"] == given["weak"]["macro_f1"] == 1
    assert own["weak"]["image_ap"] < 1
    assert given["weak"]["cell_ap"] == own["weak"]["cell_ap"]


def test_a_perfect_prediction_scores_one(tmp_path: Path, truth: pd.DataFrame) -> None:
    result = score(tmp_path, truth.astype({name: float for name in PROBABILITIES}), images_of(truth), truth)
    board = result["competition"]
    present = np.asarray(truth[list(PROBABILITIES)].max() == 1)
    assert (board["mAP"], board["mAP_mask_gt"]) == (1, 1)
    assert board["AP"] == [1.0 if present[c] else None for c in range(len(CLASSES))]
    assert board["mAP_19"] == pytest.approx(present.mean())
    assert (result["images"], result["cells"]) == (3, 12)
    assert (result["weak"]["image_ap"], result["weak"]["macro_f1"], result["weak"]["micro_f1"]) == (1, 1, 1)


def test_perfect_classes_on_lost_masks_score_nothing(tmp_path: Path, truth: pd.DataFrame) -> None:
    for image_id, cells in CELLS_OF.items():
        shifted = np.roll(grid_mask(cells), 6, axis=1)  # IoU 4 / 16
        write_png(cell_mask_path(tmp_path / "masks", image_id), shifted)
    board = score(tmp_path, truth, images_of(truth), truth)["competition"]
    assert board["mAP"] == 0


def test_the_numbers_of_cells_need_not_be_those_of_the_truth(tmp_path: Path, truth: pd.DataFrame) -> None:
    for image_id, cells in CELLS_OF.items():
        mask = grid_mask(cells)
        write_png(
            cell_mask_path(tmp_path / "masks", image_id), np.where(mask > 0, 100 - mask, 0).astype(np.uint16)
        )
    renumbered = truth.assign(cell_id=100 - truth["cell_id"])
    assert score(tmp_path, renumbered, images_of(truth), truth)["competition"]["mAP"] == 1


def test_the_proxies_are_those_of_scikit_learn(tmp_path: Path, truth: pd.DataFrame) -> None:
    rng = np.random.default_rng(5)
    predictions = truth.copy()
    predictions[list(PROBABILITIES)] = rng.random((len(truth), len(PROBABILITIES)))
    images = images_of(truth)
    weak = score(tmp_path, predictions[::-1], images, truth)["weak"]
    of_image = np.array([np.isin(np.arange(len(CLASSES)), labels) for labels in images["labels"]])
    of_cell = of_image[images["image_id"].searchsorted(predictions["image_id"])]
    seen = of_cell.any(axis=0)
    probabilities = predictions[list(PROBABILITIES)].to_numpy()
    per_class = [average_precision_score(of_cell[:, c], probabilities[:, c]) for c in np.flatnonzero(seen)]
    assert weak["cell_ap"] == pytest.approx(np.mean(per_class), abs=1e-6)
    assert [weak["cell_AP"][c] for c in np.flatnonzero(seen)] == pytest.approx(per_class, abs=1e-6)
    pooled = predictions.groupby("image_id")[list(PROBABILITIES)].max().to_numpy()
    assert weak["micro_f1"] == pytest.approx(f1_score(of_image, pooled >= 0.5, average="micro"), abs=1e-6)


def test_the_order_of_rows_does_not_matter(tmp_path: Path, truth: pd.DataFrame) -> None:
    predictions = truth.copy()
    predictions[list(PROBABILITIES)] = np.random.default_rng(1).random((len(truth), len(PROBABILITIES)))
    images = images_of(truth)
    once = score(tmp_path, predictions, images, truth)
    assert once == score(tmp_path, predictions[::-1], images[::-1], truth[::-1])
    assert 0 < once["competition"]["mAP"] < 1


def test_what_is_unknown_is_none_and_never_zero(tmp_path: Path, truth: pd.DataFrame) -> None:
    unlabelled, no_truth = images_of(truth, labelled=False), truth[:0]
    result = score(tmp_path, truth, unlabelled, no_truth)
    assert (result["competition"], result["weak"]) == (None, None)
    assert score(tmp_path, truth, images_of(truth), no_truth)["competition"] is None
    assert score(tmp_path, truth, unlabelled, truth)["weak"] is None
    assert score_part(Guess(truth, tmp_path), images_of(truth)[:0], truth, tmp_path, 0.5) is None


def test_truth_of_other_images_is_left_alone(tmp_path: Path, truth: pd.DataFrame) -> None:
    cell_mask_path(tmp_path / "truth", "c").unlink()
    ours = truth["image_id"] != "c"
    result = score(tmp_path, truth[ours], images_of(truth)[:2], truth)
    assert (result["images"], result["cells"], result["competition"]["mAP"]) == (2, 7, 1)


def test_numbers_are_kept_to_six_digits() -> None:
    assert rounded(2 / 3) == 0.666667
    assert rounded(float("nan")) is None
    values = np.full(len(CLASSES), np.nan)
    values[4] = 0.25
    assert by_class(values) == [0.25 if c == 4 else None for c in range(len(CLASSES))]


def test_a_score_has_an_interval_its_resamples_and_a_curve_a_class(
    tmp_path: Path, truth: pd.DataFrame
) -> None:
    perfect = score(tmp_path, truth.astype(dict.fromkeys(PROBABILITIES, float)), images_of(truth), truth)
    board = perfect["competition"]
    assert board["interval"] == [1, 1]
    assert set(board["resampled"]) == {1}
    present = np.asarray(truth[list(PROBABILITIES)].max() == 1)
    assert [curve is not None for curve in board["curves"]] == present.tolist()
    assert board["curves"][int(np.argmax(present))] == [1] * CURVE_POINTS
    predictions = truth.copy()
    predictions[list(PROBABILITIES)] = np.random.default_rng(1).random((len(truth), len(PROBABILITIES)))
    board = score(tmp_path, predictions, images_of(truth), truth)["competition"]
    low, high = board["interval"]
    assert low < high


def test_an_entry_has_a_line_a_key_and_loses_nothing() -> None:
    entry = {"recipe": "a [b, c]", "test": {"AP": [0.5, None], "curves": [[1.0, 0.5], None], "mAP": 0.25}}
    text = entry_text(entry)
    assert json.loads(text) == entry
    assert '"AP": [0.5, null],\n' in text
