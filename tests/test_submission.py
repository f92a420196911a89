"""A submission comes back as it was written, and every fault of a file is named with its row."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.classes import PROBABILITIES
from common.errors import DataError
from common.rle import encode_mask_map
from common.submission import read_submission, validate_submission, write_submission

IMAGES = pd.DataFrame({"image_id": ["b", "a", "none"], "width": [12, 9, 5], "height": [8, 9, 5]})
PLACEHOLDER = "eNoLCAgIMAEABJkBdQ=="  # an empty mask of 2048 x 2048


def masks() -> dict[str, np.ndarray]:
    a, b = np.zeros((9, 9), dtype=np.uint16), np.zeros((8, 12), dtype=np.uint16)
    a[1:4, 1:4], a[5:9, 2:7] = 2, 5
    b[:, 3:6] = 1
    return {"a": a, "b": b}


def predictions(seed: int = 0, dtype: type = np.float32) -> pd.DataFrame:
    table = pd.DataFrame({"image_id": ["a", "b", "a"], "cell_id": [5, 1, 2]})
    table[list(PROBABILITIES)] = np.random.default_rng(seed).random((3, 19), dtype=np.float32).astype(dtype)
    return table


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "submission.csv"
    write_submission(path, IMAGES, predictions(), masks().__getitem__)
    return path


def test_a_written_submission_is_valid_and_has_the_competition_header(written: Path) -> None:
    validate_submission(written, IMAGES)
    assert written.read_text().splitlines()[0] == "ID,ImageWidth,ImageHeight,PredictionString"


def test_rows_come_back_in_the_order_of_the_images_with_every_class_of_every_cell(written: Path) -> None:
    rows = [row for row, faults in read_submission(written) if not faults]
    assert [(row.image_id, row.width, row.height) for row in rows] == [
        ("b", 12, 8),
        ("a", 9, 9),
        ("none", 5, 5),
    ]
    assert [row.line for row in rows] == [2, 3, 4]
    assert rows[1].class_id.tolist() == [*range(19), *range(19)]
    assert [len(row.masks) for row in rows] == [1, 2, 0]


def test_scores_come_back_unchanged_so_that_no_ties_are_made(written: Path) -> None:
    row = next(row for row, _ in read_submission(written) if row.image_id == "a")
    expected = predictions().iloc[[0, 2]][list(PROBABILITIES)].to_numpy()
    np.testing.assert_array_equal(row.score.astype(np.float32).reshape(2, 19), expected)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("image_id", "c", "1 images that are not submitted, first c"),
        ("cell_id", 77, "image a: predictions name cell 77"),
    ],
)
def test_predictions_that_fit_no_image_or_cell_are_refused(
    tmp_path: Path, column: str, value: str | int, message: str
) -> None:
    table = predictions()
    table.loc[0, column] = value
    with pytest.raises(DataError, match=message):
        write_submission(tmp_path / "s.csv", IMAGES, table, masks().__getitem__)


def test_a_mask_of_another_size_than_its_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"image b: the mask is \(4, 4\), the image \(height, width\) \(8, 12\)"
    ):
        write_submission(
            tmp_path / "s.csv", IMAGES, predictions(), lambda _: np.zeros((4, 4), dtype=np.uint16)
        )


def text_of(mask: np.ndarray) -> str:
    return encode_mask_map(mask.astype(np.uint16)).get(1, "")


SQUARE = np.zeros((8, 8), dtype=np.uint16)
SQUARE[2:5, 2:5] = 1
OTHER = np.roll(SQUARE, 2, axis=1)
FAR = np.roll(SQUARE, 3, axis=1)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("x,8,8,0 0.5", "row 2: 2 words do not make triplets"),
        (f"x,8,8,19 0.5 {text_of(SQUARE)}", "row 2: class '19' is not 0 to 18"),
        (f"x,8,8,-1 0.5 {text_of(SQUARE)}", "row 2: class '-1' is not 0 to 18"),
        (f"x,8,8,1 nan {text_of(SQUARE)}", "row 2: score 'nan' is not a finite number"),
        (f"x,8,8,1 inf {text_of(SQUARE)}", "row 2: score 'inf' is not a finite number"),
        (f"x,8,8,1 high {text_of(SQUARE)}", "row 2: score 'high' is not a finite number"),
        (f"x,8,8,1 1.5 {text_of(SQUARE)}", "row 2: score 1.5 is not in [0, 1]"),
        (f"x,8,8,1 -0.1 {text_of(SQUARE)}", "row 2: score -0.1 is not in [0, 1]"),
        ("x,8,8,1 0.5 %%%", "row 2: mask '%%%': the mask text is not base64"),
        (
            "x,8,8,1 0.5 AAAA",
            "row 2: mask 'AAAA': the mask text is base64, but what it holds is not zlib data",
        ),
        (f"x,8,8,1 0.5 {PLACEHOLDER}", "the runs of the mask cover 4194304 pixels, the image has 8 x 8 = 64"),
        (f"x,8,9,1 0.5 {text_of(SQUARE)}", "row 2: the size 8 x 9 is not that of the image, 8 x 8"),
        (f"x,8,8.0,1 0.5 {text_of(SQUARE)}", "row 2: the size 8 x 8.0 is not in whole pixels"),
        (
            f"x,8,8,1 0.5 {text_of(SQUARE)} 1 0.4 {text_of(SQUARE)}",
            "row 2: mask 1 of the image has class 1 twice",
        ),
        (
            f"x,8,8,1 0.5 {text_of(SQUARE)} 1 0.4 {text_of(OTHER)}",
            "row 2: masks of different cells overlap in 3 pixels",
        ),
        ("y,8,8,", "row 2: image 'y' is not one of the 1 to submit"),
        ("y,8,8,", "image x has no row"),
        ("x,8,8,\nx,8,8,", "row 3: image x was already in row 2"),
        ("x,8", "row 2 has 2 fields, the header 4"),
    ],
)
def test_each_fault_is_named_with_its_row(tmp_path: Path, row: str, fault: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(f"ID,ImageWidth,ImageHeight,PredictionString\n{row}\n")
    with pytest.raises(DataError, match=re.escape(fault)):
        validate_submission(path, pd.DataFrame({"image_id": ["x"], "width": [8], "height": [8]}))


def test_an_empty_mask_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(f"ID,ImageWidth,ImageHeight,PredictionString\nx,2048,2048,0 1 {PLACEHOLDER}\n")
    with pytest.raises(DataError, match="row 2: mask 1 of the image is empty"):
        validate_submission(path, pd.DataFrame({"image_id": ["x"], "width": [2048], "height": [2048]}))


def test_touching_masks_and_several_classes_of_one_mask_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    square, far = text_of(SQUARE), text_of(FAR)
    text = f"0 0.5 {square} 1 0.5 {square} 0 0.25 {far} 18 1 {far}"
    path.write_text(f"ID,ImageWidth,ImageHeight,PredictionString\nx,8,8,{text}\n")
    validate_submission(path, pd.DataFrame({"image_id": ["x"], "width": [8], "height": [8]}))


def test_all_faults_of_a_file_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("ID,ImageWidth,ImageHeight,PredictionString\na,9,9,1 2 x\nq,1,1,\nb,8,12,0 1\n")
    with pytest.raises(DataError) as raised:
        validate_submission(path, IMAGES)
    message = str(raised.value)
    assert str(path) in message
    for fault in (
        "row 2: mask 'x'",
        "row 3: image 'q'",
        "row 4: 2 words",
        "row 4: the size",
        "image none has no row",
    ):
        assert fault in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("", "no column ID, ImageWidth"),
        ("ID,ImageWidth,ImageHeight\n", "no column PredictionString"),
        ('ID,ImageWidth,ImageHeight,PredictionString\n"a,9', "cannot be read as a CSV table"),
        ("ID,ImageWidth,ImageHeight,PredictionString\n\udcff,1,1,\n", "cannot be read as a CSV table"),
    ],
)
def test_a_file_that_is_no_submission_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "submission.csv"
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=message):
        validate_submission(path, IMAGES)
