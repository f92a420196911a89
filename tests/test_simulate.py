"""Simulated fields: same parameters, same bytes; masks, truth and weak labels that agree with each other."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from common.classes import CLASSES, COLORS, NEGATIVE
from common.errors import ParamsError
from common.params import build
from common.simulate.fields import Field, simulate, simulate_field
from common.simulate.label_sets import class_shares
from common.simulate.samples import SimulateParams, plan

PARAMS = SimulateParams(fields=8, test_fields=4, side_px=192, seed=7)


@pytest.fixture(scope="module")
def fields() -> list[Field]:
    return simulate(PARAMS)


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
    assert classes >= {c for c in range(len(CLASSES)) if class_shares()[c] > 0.03}


@pytest.mark.parametrize("class_id", [c for c in range(len(CLASSES)) if c != NEGATIVE])
def test_every_class_can_be_true(class_id: int) -> None:
    entry = replace(plan(PARAMS)[0], classes=(class_id,), cell_line="A-431")
    truths = [simulate_field(replace(entry, field=number), PARAMS).truth for number in range(4)]
    assert np.vstack(truths)[:, class_id].any()


def test_a_negative_protein_shows_next_to_nothing() -> None:
    entry = replace(plan(PARAMS)[0], classes=(NEGATIVE,))
    truths = [simulate_field(replace(entry, field=number), PARAMS).truth for number in range(4)]
    assert np.vstack(truths)[:, NEGATIVE].mean() > 0.8


def test_16_bit_pictures_are_the_8_bit_ones_with_finer_steps() -> None:
    entry = plan(PARAMS)[0]
    coarse = simulate_field(entry, PARAMS).image
    fine = simulate_field(entry, PARAMS.model_copy(update={"bit_depth": 16})).image
    assert (coarse.dtype, fine.dtype) == (np.uint8, np.uint16)
    assert np.abs(fine / 257 - coarse.astype(float)).max() < 0.51


def test_a_misspelt_parameter_is_refused_by_name() -> None:
    with pytest.raises(ParamsError, match=r"simulate.*feilds.*did you mean 'fields'"):
        build(SimulateParams, {"feilds": 3, "test_fields": 1, "seed": 0}, "simulate")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"difficulty": 2}, r"simulate\.difficulty.*less than or equal to 1.*found 2"),
        ({"side_px": 0}, r"simulate\.side_px.*greater than or equal to 64.*found 0"),
        ({"cell_lines": ["HeLa", "U2OS"]}, r"simulate\.cell_lines.*no such cell line: U2OS; known: U-2 OS"),
        ({"classes": ["Nucleus"]}, r"simulate\.classes.*no such class: Nucleus; known: Nucleoplasm"),
        ({"classes": []}, r"simulate\.classes.*at least 1 item"),
        ({"bit_depth": 12}, r"simulate\.bit_depth.*8 or 16.*found 12"),
    ],
)
def test_impossible_parameters_are_refused_by_name(given: dict[str, object], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        build(SimulateParams, {"fields": 3, "test_fields": 1, "seed": 0, **given}, "simulate")


def test_lines_and_classes_are_those_asked_for() -> None:
    asked = PARAMS.model_copy(
        update={"fields": 60, "classes": ("Nucleoli", "Cytosol"), "cell_lines": ("HeLa",)}
    )
    entries = plan(asked)
    assert {entry.cell_line for entry in entries} == {"HeLa"}
    assert {c for entry in entries for c in entry.classes} == {2, 16}


def test_zoom_shows_fewer_and_larger_cells() -> None:
    entry = replace(plan(PARAMS)[0], cell_line="SH-SY5Y")
    near = PARAMS.model_copy(update={"side_px": 512, "zoom": 2.0})
    far = simulate_field(entry, near.model_copy(update={"zoom": 1.0}))
    close = simulate_field(entry, near)
    assert len(close.truth) < len(far.truth) / 2
    areas = [np.median(np.bincount(field.cells.ravel())[1:]) for field in (far, close)]
    assert areas[1] > 2.5 * areas[0]


def test_duplicates_are_samples_of_their_own_with_the_same_pixels() -> None:
    entries = plan(PARAMS.model_copy(update={"fields": 40, "duplicates": 0.1}))
    by_id = {entry.image_id: entry for entry in entries}
    copies = [entry for entry in entries if entry.duplicate_of]
    assert len(copies) == 4
    for copy in copies:
        original = by_id[copy.duplicate_of]
        assert not original.duplicate_of
        assert copy.split == original.split
        assert [entry.sample_id for entry in entries].count(copy.sample_id) == 1
    copy, original = copies[0], by_id[copies[0].duplicate_of]
    np.testing.assert_array_equal(simulate_field(copy, PARAMS).image, simulate_field(original, PARAMS).image)


def test_difficulty_blurs_and_adds_noise_but_leaves_outlines() -> None:
    entry = replace(plan(PARAMS)[0], classes=(2,))
    easy, hard = (simulate_field(entry, PARAMS.model_copy(update={"difficulty": d})) for d in (0.0, 1.0))
    np.testing.assert_array_equal(easy.cells, hard.cells)
    assert not np.array_equal(easy.image, hard.image)


def test_flags_name_dividing_cells_and_silent_ones_are_negative(fields: list[Field]) -> None:
    dividing = simulate_field(replace(plan(PARAMS)[0], classes=(11,)), PARAMS)
    assert dividing.flags.mitotic.any()
    assert dividing.truth[dividing.flags.mitotic, 11].all()
    for field in fields:
        assert (field.truth[field.flags.silent & ~field.flags.mitotic, NEGATIVE] == 1).all()


def test_debris_brightens_the_picture_where_it_is_listed_and_stays_out_of_masks() -> None:
    entry = plan(PARAMS)[0]
    dirty = simulate_field(entry, PARAMS.model_copy(update={"debris": 15.0}))
    assert len(dirty.debris) > 5
    light = dirty.image.max(axis=0)
    at = [(int(piece.y), int(piece.x)) for piece in dirty.debris]
    assert np.mean([light[y, x] for y, x in at]) > 3 * light[dirty.cells == 0].mean()
    clean = simulate_field(entry, PARAMS.model_copy(update={"debris": 0.0}))
    np.testing.assert_array_equal(dirty.cells, clean.cells)
