"""From a folder to the tables of images and truth."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from common.cells import read_mask
from common.classes import PROBABILITIES
from common.competition import read_competition
from common.errors import DataError
from common.image_table import fields_of, read_images
from common.images import Field, read_image
from common.ingest import Take, competition_entries, folder_entries, ingest, write_no_truth, write_truth
from common.shards import SKIPPED
from common.sources import collect_competition
from common.truth import read_truth


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


def test_the_images_table_says_what_the_folder_said(competition_folder: Path, tmp_path: Path) -> None:
    ingest(competition_entries(read_competition(competition_folder)), "kaggle", tmp_path / "out")
    table = read_images(tmp_path / "out").set_index("image_id")
    assert list(table.index) == ["a1", "a2", "b1", "c1"]
    assert list(table["split"]) == ["train", "train", "train", "test"]
    assert [list(labels) for labels in table["labels"]] == [[0, 2], [0, 2], [5, 16], []]
    assert list(table["sample_id"]) == ["A", "A", "b1", "C"]  # without a row in samples.csv: its own sample
    assert list(table["cell_line"]) == ["U-2 OS", "U-2 OS", "", "HeLa"]
    assert list(table["duplicate_group"]) == ["a1", "a2", "b1", "c1"]
    assert set(zip(table["height"], table["width"], table["bit_depth"], strict=True)) == {(32, 32, 8)}


@pytest.mark.parametrize("take", ["copy", "link", "move"])
def test_pixels_are_taken_over_unchanged(competition_folder: Path, tmp_path: Path, take: Take) -> None:
    competition = read_competition(competition_folder)
    before = [read_image(field) for field in competition.train]
    table = ingest(competition_entries(competition), "kaggle", tmp_path / "out", take)
    for ours, pixels, theirs in zip(
        fields_of(table, tmp_path / "out"), before, competition.train, strict=False
    ):
        assert [path.is_symlink() for path in ours.paths] == [take == "link"] * 4
        assert [path.exists() for path in theirs.paths] == [take != "move"] * 4
        assert [path.parent for path in ours.paths] == [tmp_path / "out/pixels"] * 4
        np.testing.assert_array_equal(read_image(ours), pixels)


def test_a_copy_of_an_image_joins_its_duplicate_group_across_the_parts(
    competition_folder: Path, tmp_path: Path, write_image: Callable[..., Field]
) -> None:
    original = read_image(read_competition(competition_folder).train[2])
    write_image(competition_folder / "test", "a0", original)
    table = ingest(competition_entries(read_competition(competition_folder)), "kaggle", tmp_path / "out")
    groups = table.set_index("image_id")["duplicate_group"]
    assert groups.to_dict() == {"a0": "a0", "a1": "a1", "a2": "a2", "b1": "a0", "c1": "c1"}


def test_all_unusable_images_are_listed_and_no_table_is_written(
    competition_folder: Path, tmp_path: Path
) -> None:
    (competition_folder / "train/a1_red.png").write_bytes(b"")
    (competition_folder / "test/c1_blue.png").write_text("<html>")
    with pytest.raises(DataError, match="2 of 4 images cannot be used: 2 faults; mend them") as caught:
        ingest(competition_entries(read_competition(competition_folder)), "kaggle", tmp_path / "out")
    assert "a1_red.png: is empty (0 bytes)" in str(caught.value)
    assert "c1_blue.png: holds a web page" in str(caught.value)
    assert not (tmp_path / "out/images.parquet").exists()


def test_unusable_images_are_left_out_with_their_truth_and_listed(
    competition_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (competition_folder / "train/a1_red.png").write_bytes(b"")
    images, truth = tmp_path / "images", tmp_path / "truth"
    table = collect_competition(competition_folder, "kaggle", images, truth, on_fault="skip")
    assert list(table["image_id"]) == list(read_images(images)["image_id"]) == ["a2", "b1", "c1"]
    assert not list((images / "pixels").glob("a1_*"))
    listed = pd.read_csv(images / SKIPPED)
    assert listed["image_id"].tolist() == ["a1"]
    assert "a1_red.png: is empty" in listed["reason"][0]
    assert "1 of 4 images are left out" in capsys.readouterr().out
    assert set(read_truth(truth)["image_id"]) == {"c1"}
    assert [path.name for path in (truth / "masks").iterdir()] == ["c1_cell.png"]


def test_when_all_images_are_unusable_nothing_is_left_to_skip(
    competition_folder: Path, tmp_path: Path
) -> None:
    for path in (competition_folder / "train").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="3 of 3 images cannot be used"):
        ingest(folder_entries(competition_folder / "train"), "folder", tmp_path / "out", on_fault="skip")


def test_images_of_ones_own_are_all_test_images(competition_folder: Path, tmp_path: Path) -> None:
    table = ingest(folder_entries(competition_folder / "train"), "folder", tmp_path / "out")
    assert set(table["split"]) == {"test"}
    assert list(table["sample_id"]) == ["a1", "a2", "b1"]
    (competition_folder / "train/a1_red.png").unlink()
    with pytest.raises(DataError, match="a1: lacks the channel red"):
        folder_entries(competition_folder / "train")


def test_truth_is_one_row_a_cell_with_its_mask(competition_folder: Path, tmp_path: Path) -> None:
    write_truth(read_competition(competition_folder), tmp_path / "truth")
    truth = read_truth(tmp_path / "truth")
    classes = {
        (row["image_id"], row["cell_id"]): np.flatnonzero(row[list(PROBABILITIES)]).tolist()
        for _, row in truth.iterrows()
    }
    assert classes == {("a1", 1): [0, 2], ("a1", 2): [18], ("c1", 1): [13], ("c1", 3): [4, 9]}
    assert (read_mask(tmp_path / "truth/masks/c1_cell.png") == 3).sum() == 16 * 14


def test_no_truth_is_a_table_without_rows(tmp_path: Path) -> None:
    write_no_truth(tmp_path)
    assert read_truth(tmp_path).empty
    assert list(read_truth(tmp_path).columns) == ["image_id", "cell_id", *PROBABILITIES]


def test_all_faults_of_true_masks_are_listed(competition_folder: Path, tmp_path: Path) -> None:
    mask = np.zeros((32, 32), np.uint16)
    mask[:9], mask[9:] = 1, 7
    cv2.imwrite(str(competition_folder / "truth_masks/a1_cell.png"), mask)
    (competition_folder / "truth_masks/c1_cell.png").unlink()
    with pytest.raises(DataError, match="2 faults; mend the truth") as caught:
        write_truth(read_competition(competition_folder), tmp_path / "truth")
    assert "a1: cells [2, 7] are in only one of truth.csv and the truth mask" in str(caught.value)
    assert "c1_cell.png: no such file" in str(caught.value)


@pytest.mark.parametrize("reader", [read_images, read_truth])
def test_a_missing_table_is_an_error_with_the_command_that_makes_it(
    tmp_path: Path, reader: Callable[[Path], pd.DataFrame]
) -> None:
    with pytest.raises(DataError, match="no such table; run: dvc repro images"):
        reader(tmp_path)


def test_a_table_without_a_column_is_refused(competition_folder: Path, tmp_path: Path) -> None:
    table = ingest(folder_entries(competition_folder / "train"), "folder", tmp_path / "out")
    table.drop(columns=["labels", "split"]).to_parquet(tmp_path / "out/images.parquet")
    with pytest.raises(
        DataError, match="lacks the columns labels, split; delete it and run: dvc repro images"
    ):
        read_images(tmp_path / "out")
