"""The check of a data folder: everything at once."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from common.checking import check_folder
from common.errors import DataError


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


def test_a_sound_folder_has_neither_faults_nor_warnings(competition_folder: Path) -> None:
    report = check_folder(competition_folder)
    assert (report.faults, report.warnings) == ([], [])
    assert report.summary == "3 training and 1 test images, truth of 4 cells"


def test_faults_of_tables_pixels_and_truth_are_listed_at_once(competition_folder: Path) -> None:
    with open(competition_folder / "train.csv", "a") as file:
        file.write("a2,99\n")
    damaged = competition_folder / "train/b1_green.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    cv2.imwrite(str(competition_folder / "truth_masks/a1_cell.png"), np.ones((32, 32), np.uint16))
    cv2.imwrite(str(competition_folder / "truth_masks/c1_cell.png"), np.ones((16, 32), np.uint16))
    faults = check_folder(competition_folder).faults
    assert len(faults) == 5
    for expected in (
        "train.csv row 5: id a2 is there twice",
        "train.csv row 5: label '99'",
        "b1_green.png: is truncated or damaged (200 bytes)",
        "a1: cells [2] are in only one of truth.csv and the truth mask",
        "c1_cell.png: mask is (16, 32) (height, width), its image (32, 32)",
    ):
        assert any(expected in fault for fault in faults), expected


def test_an_image_that_cannot_be_read_is_told_once_though_its_truth_needs_it_too(
    competition_folder: Path,
) -> None:
    (competition_folder / "train/a1_red.png").write_bytes(b"")
    faults = check_folder(competition_folder).faults
    assert len(faults) == 1
    assert "a1_red.png: is empty (0 bytes)" in faults[0]


def test_constant_and_saturated_channels_are_warned_of(competition_folder: Path) -> None:
    pixels = np.array(cv2.imread(str(competition_folder / "train/a1_red.png"), cv2.IMREAD_UNCHANGED))
    pixels[:8] = 255
    cv2.imwrite(str(competition_folder / "train/a1_red.png"), pixels)
    cv2.imwrite(str(competition_folder / "train/a2_blue.png"), np.zeros((32, 32), np.uint8))
    cv2.imwrite(str(competition_folder / "test/c1_yellow.png"), np.full((32, 32), 255, np.uint8))
    report = check_folder(competition_folder)
    assert report.faults == []
    assert sorted(report.warnings) == [
        "a1: 25% of red is saturated",
        "a2: blue is constant (0)",
        "c1: yellow is constant (255)",
    ]


def test_a_plain_folder_of_images_is_checked_too(competition_folder: Path) -> None:
    (competition_folder / "train/b1_red.png").unlink()
    report = check_folder(competition_folder / "train")
    assert report.summary == "2 images, no train.csv"
    assert report.faults == ["b1: lacks the channel red; add b1_red.png"]


def test_a_folder_with_nothing_to_check_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image"):
        check_folder(tmp_path)


def test_the_competitions_folder_passes(shared: Path) -> None:
    report = check_folder(shared / "data/fields")
    assert report.faults == []
    assert report.summary == "5 training and 0 test images, no truth"
