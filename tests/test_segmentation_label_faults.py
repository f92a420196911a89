"""Maps and parameters that ``label_cells`` refuses."""

import numpy as np
import pytest
from pydantic import ValidationError

from common.errors import DataError
from common.segmentation.label_cells import LabelCellsParams, label_cells

EXACT = LabelCellsParams(mode="exact", field_width_um=None)
GOOD = np.zeros((3, 8, 9), np.float32)


@pytest.mark.parametrize(
    ("nucleus_maps", "cell_maps", "message"),
    [
        (GOOD[0], GOOD, r"nucleus maps have shape \(8, 9\), expected \(3, H, W\)"),
        (GOOD, np.moveaxis(GOOD, 0, 2), r"cell maps have shape \(8, 9, 3\), expected \(3, H, W\)"),
        (GOOD[:, :0], GOOD, r"shape \(3, 0, 9\)"),
        (GOOD, np.zeros((3, 8, 8), np.float32), r"\(3, 8, 9\), the cell maps \(3, 8, 8\)"),
        (GOOD.astype(np.float64), GOOD, "nucleus maps are float64, expected uint8"),
        (GOOD, GOOD + 1.5, r"cell maps span \[1.5, 1.5\].*softmax"),
        (GOOD - 1, GOOD, r"span \[-1, -1\]"),
        (GOOD * np.nan, GOOD, "without NaN"),
    ],
)
def test_other_maps_are_refused(nucleus_maps: np.ndarray, cell_maps: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        label_cells(nucleus_maps, cell_maps, EXACT)


@pytest.mark.parametrize("wrong", [{"mode": "quick"}, {"border_threshold": 1.5}, {"min_cell_px": 5500}])
def test_wrong_parameters_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LabelCellsParams.model_validate(wrong)
