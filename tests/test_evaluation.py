"""Label maps and files of the same cells score the same, and what cannot be scored is refused."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.classes import PROBABILITIES
from common.errors import DataError, ParamsError
from common.evaluation import evaluate_files, evaluate_maps, score_files
from common.metrics.matching import MODES, Mode
from common.rle import encode_mask_map
from common.submission import write_submission

TRUTH_HEADER = "ImageID,ImageWidth,ImageHeight,LabelName,IsGroupOf,Mask\n"
HEADER = "ID,ImageWidth,ImageHeight,PredictionString\n"


def blocks(side_px: int, cells: int, shift_px: int) -> np.ndarray:
    """A label map of square cells in a row, moved down."""
    mask = np.zeros((side_px, side_px), dtype=np.uint16)
    for cell in range(cells):
        mask[5 + shift_px : 13 + shift_px, 10 * cell + 1 : 10 * cell + 9] = cell + 1
    return mask


def made_up(seed: int) -> tuple[list[tuple[str, np.ndarray, np.ndarray]], pd.DataFrame, pd.DataFrame]:
    """Maps of three images with 4 cells each, predictions of a few levels, and truth with Negative cells."""
    rng = np.random.default_rng(seed)
    names = ["p", "q", "r"]
    maps = [(name, blocks(48, 4, int(rng.integers(0, 4))), blocks(48, 4, 0)) for name in names]
    keys = {"image_id": np.repeat(names, 4), "cell_id": np.tile([1, 2, 3, 4], 3)}
    scores, labels = rng.integers(0, 9, (12, 19)) / 8, (rng.random((12, 19)) < 0.06).astype(np.int64)
    tables = (pd.DataFrame(values, columns=list(PROBABILITIES)) for values in (scores, labels))
    predictions, truth = (pd.concat([pd.DataFrame(keys), table], axis=1) for table in tables)
    return maps, predictions, truth


def write_truth(path: Path, maps: list[tuple[str, np.ndarray, np.ndarray]], truth: pd.DataFrame) -> None:
    lines = [TRUTH_HEADER]
    for name, _, mask in maps:
        texts = encode_mask_map(mask)
        for row in truth[truth["image_id"] == name].itertuples(index=False):
            classes = [k for k in range(19) if row[2 + k]] or [18]
            lines += [f"{name},48,48,{k},0,{texts[row[1]]}\n" for k in classes]
    path.write_text("".join(lines))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(4))
def test_maps_score_as_the_files_of_the_same_cells(tmp_path: Path, seed: int, mode: Mode) -> None:
    maps, predictions, truth = made_up(seed)
    images = pd.DataFrame({"image_id": ["r", "p", "q"], "width": 48, "height": 48})
    masks = {name: mask for name, mask, _ in maps}
    write_submission(tmp_path / "s.csv", images, predictions, masks.__getitem__)
    write_truth(tmp_path / "gt.csv", maps, truth)
    from_files = score_files(tmp_path / "s.csv", tmp_path / "gt.csv", mode)
    from_maps = evaluate_maps(maps[::-1], predictions, truth, mode)
    for name in ("AP", "AP_best", "AP_worst", "num_gt", "num_det", "num_tp"):
        np.testing.assert_array_equal(getattr(from_maps, name), getattr(from_files, name))
    assert 0 < from_maps.worst <= from_maps.mAP <= from_maps.best < 1


def test_true_labels_on_true_masks_score_one() -> None:
    maps, _, truth = made_up(1)
    truth.loc[~truth[list(PROBABILITIES)].any(axis=1), "p_18"] = 1
    result = evaluate_maps([(name, mask, mask) for name, _, mask in maps], truth, truth)
    assert result.mAP == result.worst == 1


def test_a_cell_without_any_class_is_negative() -> None:
    maps, predictions, truth = made_up(1)
    truth[list(PROBABILITIES)] = 0
    assert evaluate_maps(maps, predictions, truth).num_gt.tolist() == [0] * 18 + [12]


@pytest.mark.parametrize(
    ("table", "column", "value", "fault"),
    [
        ("predictions", "cell_id", 9, "image p: predicted cell 9 is not in its map"),
        ("predictions", "cell_id", 2, "image p: predicted cell 2 has more than one row"),
        ("predictions", "p_3", math.nan, "predictions: 1 values are not finite numbers"),
        ("truth", "cell_id", 9, "image p: true cell 9 is not in its map"),
        ("truth", "image_id", "z", "image z has true cells, but no maps"),
        ("truth", "p_3", 2, "truth: 1 values are neither 0 nor 1"),
    ],
)
def test_tables_that_do_not_fit_the_maps_are_refused(table: str, column: str, value: Any, fault: str) -> None:
    maps, predictions, truth = made_up(0)
    {"predictions": predictions, "truth": truth}[table].loc[0, column] = value
    with pytest.raises(DataError, match=re.escape(fault)):
        evaluate_maps(maps, predictions, truth)


def test_maps_of_different_shapes_and_an_image_given_twice_are_refused() -> None:
    maps, predictions, truth = made_up(0)
    with pytest.raises(DataError, match=r"image p: predicted map \(48, 48\), true map \(4, 4\)"):
        evaluate_maps([(maps[0][0], maps[0][1], np.zeros((4, 4), np.uint16)), *maps[1:]], predictions, truth)
    with pytest.raises(DataError, match="image p is among the maps more than once"):
        evaluate_maps([*maps, maps[0]], predictions, truth)


MASK = encode_mask_map(np.array([[0, 1], [0, 1]], dtype=np.uint16))[1]
EMPTY = "eNoLCAgIMAEABJkBdQ=="  # 2048 x 2048


def report_of(tmp_path: Path, submission: str, truth: str, mode: str = "mask_all") -> dict[str, Any]:
    (tmp_path / "s.csv").write_text(HEADER + submission)
    (tmp_path / "gt.csv").write_text(TRUTH_HEADER + truth)
    return evaluate_files(tmp_path / "s.csv", tmp_path / "gt.csv", mode)


def test_an_image_missing_from_the_submission_has_no_detections(tmp_path: Path) -> None:
    report = report_of(tmp_path, f"a,2,2,3 0.5 {MASK}\n", f"a,2,2,3,0,{MASK}\nb,2,2,3,0,{MASK}\n")
    assert report["AP"]["3"] == 0.5
    assert report["AP"]["4"] is None
    assert report["mAP_19"] == pytest.approx(0.5 / 19)


def test_detections_in_an_image_without_truth_are_false_only_under_mask_all(tmp_path: Path) -> None:
    submission, truth = f"a,2,2,3 0.5 {MASK}\nb,2,2,3 0.9 {MASK}\n", f"a,2,2,3,0,{MASK}\n"
    assert report_of(tmp_path, submission, truth)["mAP"] == 0.5
    assert report_of(tmp_path, submission, truth, "mask_gt")["mAP"] == 1


def test_a_row_without_a_mask_is_no_object_but_names_its_class(tmp_path: Path) -> None:
    submission = f"a,2,2,3 0.5 {MASK}\nb,2,2,3 0.9 {MASK}\n"
    truth = f"a,2,2,3,0,{MASK}\nb,2,2,3,0,-1\n"
    assert report_of(tmp_path, submission, truth, "mask_gt")["mAP"] == 0.5


def test_a_detection_with_an_empty_mask_is_left_out(tmp_path: Path) -> None:
    full = encode_mask_map(np.ones((2048, 2048), dtype=np.uint16))[1]
    submission = f"a,2048,2048,3 0.9 {EMPTY} 3 0.5 {full}\n"
    assert report_of(tmp_path, submission, f"a,2048,2048,3,0,{full}\n")["mAP"] == 1


def test_truth_without_objects_has_no_score(tmp_path: Path) -> None:
    report = report_of(tmp_path, f"a,2,2,3 0.5 {MASK}\n", "a,2,2,3,0,-1\n")
    assert report["mAP"] is report["mAP_19"] is report["ties"]["best"] is None


def test_an_unknown_mode_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="mode 'box' is not known; use mask_all or mask_gt"):
        report_of(tmp_path, "", "", "box")


def test_all_faults_of_both_files_are_told_together(tmp_path: Path) -> None:
    submission = f"a,2,3,\na,2,2,1 0.5\nb,2,2,19 0.5 {MASK} 1 nan {MASK} 1 0.5 ???\nc,two,2,\n"
    truth = (
        f"a,2,2,3,0,{MASK}\na,3,2,3,0,{MASK}\na,2,2,Discard,0,-1\na,2,2,3,2,-1\na,2,2,3,0,x\nz,0,2,3,0,-1\n"
    )
    with pytest.raises(DataError) as raised:
        report_of(tmp_path, submission, truth)
    for fault in (
        "s.csv row 2: image a is 2 x 3, in the truth 2 x 2 pixels",
        "s.csv row 3: image a was already in row 2",
        "s.csv row 3: 2 words do not make triplets",
        "s.csv row 4: class '19'",
        "s.csv row 4: score 'nan'",
        "s.csv row 4: mask '???': the mask text is not base64",
        "s.csv row 5: the size two x 2 is not in whole pixels",
        "gt.csv row 3: the size 3 x 2 is not 2 x 2 as in its first row",
        "gt.csv row 4: class 'Discard' is not 0 to 18",
        "gt.csv row 5: IsGroupOf is '2', neither 0 nor 1",
        "gt.csv row 6: the mask text is not base64",
        "gt.csv row 7: the size 0 x 2 is not in whole pixels",
    ):
        assert fault in str(raised.value)


def test_missing_columns_of_both_files_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("ID,PredictionString\na,\n")
    (tmp_path / "gt.csv").write_text("ImageID,LabelName\na,1\n")
    with pytest.raises(DataError) as raised:
        evaluate_files(tmp_path / "s.csv", tmp_path / "gt.csv", "mask_all")
    assert "s.csv: no column ImageWidth, ImageHeight; its columns are ID, PredictionString" in str(
        raised.value
    )
    assert "gt.csv: no column ImageWidth, ImageHeight, IsGroupOf, Mask" in str(raised.value)
