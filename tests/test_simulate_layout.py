"""Shapes and places of simulated cells, layouts on given masks, and masks as a segmenter would draw them."""

from pathlib import Path

import numpy as np
import pytest

from common.cells import read_mask
from common.errors import DataError
from common.simulate.cell_lines import CELL_LINES
from common.simulate.given import lay_out_on
from common.simulate.layout import lay_out
from common.simulate.outlines import extent, reach_of, rounded, spread
from common.simulate.segmenter import flawed_masks

LINE = CELL_LINES["U-2 OS"]


def discs(side: int, *circles: tuple[int, int, int]) -> np.ndarray:
    y, x = np.indices((side, side))
    mask = np.zeros((side, side), np.uint16)
    for number, (cy, cx, radius) in enumerate(circles, start=1):
        mask[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = number
    return mask


def best_iou(cell: np.ndarray, mask: np.ndarray) -> float:
    rivals = [mask == number for number in np.unique(mask[cell]) if number]
    return max(((cell & rival).sum() / (cell | rival).sum() for rival in rivals), default=0.0)


@pytest.mark.parametrize("name", CELL_LINES)
def test_outlines_enclose_the_area_asked_for(name: str) -> None:
    for seed in range(5):
        outline = spread(np.random.default_rng(seed), 40.0, CELL_LINES[name], 0.3)
        assert np.isfinite(outline).all()
        assert outline.min() > 0
        assert 0.5 * np.sum(outline**2) * 2 * np.pi / len(outline) == pytest.approx(np.pi * 40**2)


def test_reach_is_1_on_a_circle_and_its_extent_is_its_radius() -> None:
    circle = rounded(np.random.default_rng(0), 20.0, 0.0, 0.0, 0.0)
    reach = reach_of(circle, 30, 30, (61, 61))
    assert reach[30, 50] == pytest.approx(1, abs=1e-3)
    assert reach[30, 30] == 0
    assert extent(circle) == pytest.approx((-20, -20, 20, 20), abs=0.01)


def test_lines_with_corners_are_less_round() -> None:
    def roundness(name: str) -> float:
        outlines = [spread(np.random.default_rng(seed), 40.0, CELL_LINES[name], 0.0) for seed in range(60)]
        return float(np.mean([o.min() / o.max() for o in outlines]))

    assert roundness("SH-SY5Y") < 0.8 * roundness("HaCaT")


def test_a_forced_mitosis_is_seen_and_numbered() -> None:
    for seed in range(10):
        layout = lay_out(np.random.default_rng(seed), LINE, 256, 0.5, mitotic_rate=0, mitotic=1)
        assert sum(cell.mitotic for cell in layout.cells) == 1


def test_given_cells_and_nuclei_are_kept() -> None:
    cells, nuclei = discs(160, (50, 50, 35), (110, 100, 40)), discs(160, (45, 50, 12), (110, 105, 15))
    layout = lay_out_on(np.random.default_rng(0), cells, nuclei, 160, 0.3)
    np.testing.assert_array_equal(layout.cell_mask, cells)
    np.testing.assert_array_equal(layout.nucleus_mask > 0, nuclei > 0)


def test_cells_without_given_nuclei_get_one_inside() -> None:
    cells = discs(160, (50, 50, 35), (110, 100, 40))
    layout = lay_out_on(np.random.default_rng(0), cells, None, 160, 0.3)
    inside = layout.nucleus_mask > 0
    np.testing.assert_array_equal(layout.nucleus_mask[inside], cells[inside])
    assert set(np.unique(layout.nucleus_mask)) == {0, 1, 2}


def test_label_maps_that_cannot_be_filled_are_refused() -> None:
    rng, empty = np.random.default_rng(0), np.zeros((64, 64), np.uint16)
    with pytest.raises(DataError, match="holds no cell"):
        lay_out_on(rng, empty, None, 64, 1)
    with pytest.raises(DataError, match=r"shape is \(32, 64\), expected square maps"):
        lay_out_on(rng, empty[:32], None, 64, 1)


def test_real_masks_can_be_filled(shared: Path) -> None:
    for path in sorted((shared / "data/manual_masks").glob("*.png"))[:5]:
        mask = read_mask(path)
        layout = lay_out_on(np.random.default_rng(0), mask, None, mask.shape[0], 1)
        assert len(layout.cells) == len(np.unique(mask)) - 1


def test_a_segmenters_masks_are_a_little_off() -> None:
    layout = lay_out(np.random.default_rng(0), LINE, 512, 1, mitotic_rate=0.0, mitotic=0)
    rng, best = np.random.default_rng(1), []
    for _ in range(10):
        cells, nuclei = flawed_masks(rng, layout.cell_mask, layout.nucleus_mask, 1)
        assert np.unique(cells).tolist() == list(range(cells.max() + 1))
        assert set(np.unique(nuclei)) <= set(np.unique(cells))
        best += [best_iou(layout.cell_mask == number, cells) for number in range(1, len(layout.cells) + 1)]
    assert np.median(best) == pytest.approx(0.97, abs=0.01)


def test_some_cells_are_merged_and_some_split() -> None:
    layout = lay_out(np.random.default_rng(0), CELL_LINES["SH-SY5Y"], 512, 1, mitotic_rate=0.0, mitotic=0)
    rng, true = np.random.default_rng(1), len(layout.cells)
    counts = [int(flawed_masks(rng, layout.cell_mask, layout.nucleus_mask, 1)[0].max()) for _ in range(20)]
    assert min(counts) < true < max(counts)
