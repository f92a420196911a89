"""Simulated fields: same parameters, same bytes; masks, truth and weak labels that agree with each other."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pandas as pd
import pytest

from common.classes import CLASSES, COLORS, NEGATIVE, parse_labels
from common.errors import DataError, ParamsError
from common.params import build
from common.simulate.anatomy import finish
from common.simulate.difficulty import conditions_at
from common.simulate.fields import Field, simulate, simulate_field
from common.simulate.folder import write_competition_folder
from common.simulate.labels import class_weights
from common.simulate.patterns import PATTERNS, paint
from common.simulate.samples import SimulateParams, plan
from common.simulate.shapes import Cell, Spot, grow
from common.simulate.structures import dots, thicken, walks

T = TypeVar("T")
R = TypeVar("R")
PARAMS = SimulateParams(fields=8, test_fields=4, side_px=192, seed=7)


@pytest.fixture(scope="module")
def fields() -> list[Field]:
    return simulate(PARAMS)


@pytest.fixture(scope="module")
def cell() -> Cell:
    rng = np.random.default_rng(3)
    body = grow(rng, Spot(90, 90, 60, mitotic=False), (0.5, 22), 1.0, 180)
    return finish(rng, body, body.reach < 1)


def backwards(work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
    return [work(item) for item in reversed(items)]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_order_and_processes_do_not_change_a_byte(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"fields": 4, "test_fields": 2, "side_px": 128})
    write_competition_folder(tmp_path / "serial", params)
    write_competition_folder(tmp_path / "backwards", params, backwards)
    with ProcessPoolExecutor(2) as pool:
        write_competition_folder(tmp_path / "processes", params, pool.map)
    assert files_of(tmp_path / "serial") == files_of(tmp_path / "backwards")
    assert files_of(tmp_path / "serial") == files_of(tmp_path / "processes")


def test_another_seed_gives_other_pictures(fields: list[Field]) -> None:
    params = PARAMS.model_copy(update={"seed": 8})
    other = simulate_field(plan(params)[0], params)
    assert not np.array_equal(other.image, fields[0].image)


def test_a_test_part_leaves_the_train_part_as_it_was() -> None:
    alone = PARAMS.model_copy(update={"test_fields": 0})
    assert plan(alone) == plan(PARAMS)[:8]


def test_masks_and_truth_count_the_same_cells(fields: list[Field]) -> None:
    for field in fields:
        numbers = list(range(1, len(field.truth) + 1))
        assert numbers, f"{field.image_id} has no cell"
        assert np.unique(field.cells[field.cells > 0]).tolist() == numbers
        assert np.unique(field.nuclei[field.nuclei > 0]).tolist() == numbers


def test_cells_are_numbered_in_raster_order_of_their_first_pixel(fields: list[Field]) -> None:
    for field in fields:
        numbers, first = np.unique(field.cells, return_index=True)
        assert (np.diff(first[numbers > 0]) > 0).all()


def test_nuclei_lie_in_their_cells(fields: list[Field]) -> None:
    for field in fields:
        inside = field.nuclei > 0
        np.testing.assert_array_equal(field.nuclei[inside], field.cells[inside])
        assert inside.sum() < 0.6 * (field.cells > 0).sum()


def test_the_nucleus_channel_is_bright_where_nuclei_are(fields: list[Field]) -> None:
    for field in fields:
        blue = field.image[COLORS.index("blue")].astype(float)
        assert blue[field.nuclei > 0].mean() > 4 * blue[field.nuclei == 0].mean()


def test_negative_stands_alone_and_no_cell_is_without_a_class(fields: list[Field]) -> None:
    truth = np.vstack([field.truth for field in fields])
    assert (truth.any(axis=1)).all()
    assert truth[truth[:, NEGATIVE] == 1].sum(axis=1).max(initial=1) == 1


def test_fields_of_a_sample_share_labels_and_line(fields: list[Field]) -> None:
    table = pd.DataFrame([(f.sample_id, f.labels, f.cell_line) for f in fields])
    assert (table.groupby(0).nunique() == 1).all().all()


def test_parts_share_no_sample() -> None:
    samples = {split: {e.sample_id for e in plan(PARAMS) if e.split == split} for split in ("train", "test")}
    assert samples["train"]
    assert samples["test"]
    assert not samples["train"] & samples["test"]


def test_a_demo_has_every_common_class() -> None:
    entries = plan(PARAMS.model_copy(update={"fields": 100}))
    classes = {c for entry in entries if entry.split == "train" for c in entry.classes}
    assert classes >= {c for c in range(len(CLASSES)) if class_weights()[c] > 0.03}


@pytest.mark.parametrize("class_id", [c for c in range(len(CLASSES)) if c != NEGATIVE])
def test_every_class_can_be_true(class_id: int) -> None:
    entry = replace(plan(PARAMS)[0], classes=(class_id,), cell_line="A-431")
    truths = [simulate_field(replace(entry, field=number), PARAMS).truth for number in range(4)]
    assert np.vstack(truths)[:, class_id].any()


def test_a_negative_protein_shows_next_to_nothing() -> None:
    entry = replace(plan(PARAMS)[0], classes=(NEGATIVE,))
    truths = [simulate_field(replace(entry, field=number), PARAMS).truth for number in range(4)]
    assert np.vstack(truths)[:, NEGATIVE].mean() > 0.8


@pytest.mark.parametrize("class_id", range(len(CLASSES)))
def test_patterns_stay_in_their_cell_and_are_light(class_id: int, cell: Cell) -> None:
    plane = paint(np.random.default_rng(0), cell, class_id, conditions_at(0.4))
    assert plane.dtype == np.float32
    assert plane.min() >= 0
    assert not plane[~cell.mask].any()
    assert (plane.max() > 0.05) == (class_id != NEGATIVE)


@pytest.mark.parametrize("class_id", [0, 1, 2, 3, 4, 5])
def test_nuclear_patterns_are_brighter_in_the_nucleus(class_id: int, cell: Cell) -> None:
    plane = paint(np.random.default_rng(0), cell, class_id, conditions_at(0.4))
    assert plane[cell.nucleus].mean() > 2 * plane[cell.cytoplasm].mean()


@pytest.mark.parametrize("class_id", [6, 7, 8, 12, 14, 15, 16, 17])
def test_cytoplasmic_patterns_are_brighter_outside_the_nucleus(class_id: int, cell: Cell) -> None:
    plane = paint(np.random.default_rng(0), cell, class_id, conditions_at(0.4))
    assert plane[cell.cytoplasm].max() > 1.3 * plane[cell.nucleus & (cell.nucleus_reach < 0.8)].max()


def test_there_is_one_pattern_a_class() -> None:
    assert len(PATTERNS) == len(CLASSES)


def test_dots_reach_their_height() -> None:
    plane = dots(np.array([[20.0, 20.0], [99.0, 5.0]]), np.array([0.7, 1.0]), 3.0, (41, 41))
    assert plane[20, 20] == pytest.approx(0.7, rel=0.02)


@pytest.mark.parametrize("sigma_px", [1.0, 3.0])
def test_a_filament_is_as_bright_at_every_zoom(sigma_px: float) -> None:
    allowed = np.ones((61, 61), bool)
    line = walks(np.random.default_rng(0), np.array([[30.0, 0.0]]), np.zeros(1), 200, 0.0, allowed)
    assert thicken(line, sigma_px)[30, 30] == pytest.approx(1, rel=0.02)


def test_walks_end_where_they_leave_what_is_allowed() -> None:
    allowed = np.zeros((9, 9), bool)
    allowed[4, 2:5] = True
    allowed[4, 6:] = True
    line = walks(np.random.default_rng(0), np.array([[4.0, 2.0]]), np.zeros(1), 20, 0.0, allowed)
    assert np.argwhere(line).tolist() == [[4, 3], [4, 4]]


def test_16_bit_pictures_are_the_8_bit_ones_with_finer_steps() -> None:
    entry = plan(PARAMS)[0]
    coarse = simulate_field(entry, PARAMS).image
    fine = simulate_field(entry, PARAMS.model_copy(update={"bit_depth": 16})).image
    assert (coarse.dtype, fine.dtype) == (np.uint8, np.uint16)
    assert np.abs(fine / 257 - coarse.astype(float)).max() < 0.51


def test_the_folder_is_a_competition_folder_with_truth(tmp_path: Path, fields: list[Field]) -> None:
    write_competition_folder(tmp_path / "data", PARAMS)
    folder = tmp_path / "data"
    by_id = {field.image_id: field for field in fields}
    train = pd.read_csv(folder / "train.csv").set_index("ID")["Label"].astype(str)
    assert {i: parse_labels(text) for i, text in train.items()} == {
        f.image_id: f.labels for f in fields if f.split == "train"
    }
    truth = pd.read_csv(folder / "truth.csv", dtype={"Label": str})
    for image_id, rows in truth.groupby("ID"):
        field = by_id[str(image_id)]
        np.testing.assert_array_equal(
            [np.isin(np.arange(len(CLASSES)), ids) for ids in rows["Label"].map(parse_labels)], field.truth
        )
        for color, channel in zip(COLORS, field.image, strict=True):
            written = cv2.imread(str(folder / field.split / f"{image_id}_{color}.png"), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(written, channel)
        for name, mask in (("cell", field.cells), ("nucleus", field.nuclei)):
            written = cv2.imread(str(folder / f"truth_masks/{image_id}_{name}.png"), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(written, mask)
    assert set(truth["ID"]) == set(by_id)
    assert pd.read_csv(folder / "samples.csv").columns.tolist() == ["ID", "sample_id", "cell_line"]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="is not an empty folder"):
        write_competition_folder(tmp_path, PARAMS)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_misspelt_parameter_is_refused_by_name() -> None:
    with pytest.raises(ParamsError, match=r"simulate.*feilds.*did you mean 'fields'"):
        build(SimulateParams, {"feilds": 3, "test_fields": 1, "seed": 0}, "simulate")
