"""The board's cells: the surest right and the surest wrong one of a class, pictured and described."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.board.examples import SIDE_PX, Example, examples_of, surest
from common.board.page import page
from common.board.rows import rank
from common.cells import cell_mask_path, measure_cells, write_mask
from common.classes import PROBABILITIES
from common.images import Field
from common.ingest import folder_entries, ingest
from tests.test_board import entry

CELLS = pd.DataFrame({"image_id": ["a", "a", "b", "b"], "cell_id": [1, 2, 1, 2]})


def table(**columns: list[float]) -> pd.DataFrame:
    """A prediction table of ``CELLS``, 0 but for some columns, its rows in another order."""
    values = pd.DataFrame(0.0, index=CELLS.index, columns=list(PROBABILITIES)).assign(**columns)
    return pd.concat([CELLS, values], axis=1).iloc[::-1]


def test_the_surest_cells_are_the_most_probable_of_those_that_show_a_class_and_of_the_others() -> None:
    predictions = table(p_3=[0.1, 0.6, 0.9, 0.2], p_5=[0.5, 0.5, 0.5, 0.5])
    found = surest(predictions, table(p_3=[1, 1, 0, 0]))
    assert [tuple(each)[:5] for each in found] == [(3, True, "a", 2, 0.6), (3, False, "b", 1, 0.9)]


def test_a_class_that_all_cells_show_has_no_wrong_cell() -> None:
    found = surest(table(p_0=[0.1, 0.2, 0.3, 0.4]), table(p_0=[1, 1, 1, 1]))
    assert [(each.right, each.image_id, each.cell_id) for each in found] == [(True, "b", 2)]


@pytest.fixture
def data(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    draw_image: Callable[..., np.ndarray],
    write_image: Callable[[Path, str, np.ndarray], Field],
) -> Path:
    """A pipeline's folder: two cells in each of a and b, and predictions of x/y beside the true classes."""
    monkeypatch.setenv("HPA_PARALLEL", "serial")
    mask = np.zeros((64, 64), np.uint16)
    mask[4:30, 4:30], mask[34:60, 34:60] = 1, 2
    cells = []
    for seed, image_id in enumerate("ab"):
        write_image(tmp_path / "own", image_id, draw_image(seed, 64))
        write_mask(cell_mask_path(tmp_path / "masks", image_id), mask)
        cells.append(measure_cells(image_id, mask, mask))
    pd.concat(cells).to_parquet(tmp_path / "cells.parquet", index=False)
    ingest(folder_entries(tmp_path / "own"), "folder", tmp_path / "images", "copy")
    for name, known in {
        "predictions/x/y": table(p_3=[0.1, 0.6, 0.9, 0.2]),
        "blend": table(p_3=[0.6, 0.1, 0.2, 0.9]),
        "controls/true_cells": table(p_3=[1, 1, 0, 0]),
    }.items():
        (tmp_path / name).mkdir(parents=True)
        known.to_parquet(tmp_path / name / "test.parquet")
    return tmp_path


def test_each_cell_has_its_picture(data: Path) -> None:
    found = examples_of("x/y", data)
    assert [(each.right, each.image_id, each.cell_id) for each in found] == [
        (True, "a", 2),
        (False, "b", 1),
    ]
    pictures = []
    for each in found:
        kind, _, text = each.picture.partition(",")
        assert kind == "data:image/jpeg;base64"
        pictures.append(np.array(Image.open(io.BytesIO(base64.b64decode(text)))))
    assert {picture.shape for picture in pictures} == {(SIDE_PX, SIDE_PX, 3)}
    assert (pictures[0] != pictures[1]).any()


def test_the_blend_has_examples_too(data: Path) -> None:
    assert [(each.image_id, each.cell_id) for each in examples_of("blend/all", data)] == [("a", 1), ("b", 2)]


def test_without_truth_there_are_no_examples(data: Path) -> None:
    table().to_parquet(data / "controls/true_cells/test.parquet")
    assert examples_of("x/y", data) == []


def test_the_page_tells_right_from_wrong_in_words() -> None:
    shown = [
        Example(3, True, "a<b", 2, 0.6, "data:,x"),
        Example(3, False, "b", 1, 0.9, "data:,y"),
    ]
    text = page(rank([entry("x/y", 0.3), entry("controls/prior", 0.1)]), shown)
    assert 'alt="cell 2 of a&lt;b, which shows Nucleoli fibrillar center"' in text
    assert 'alt="cell 1 of b, which does not show Nucleoli fibrillar center"' in text
    assert "x/<wbr>y is surest" in text
    assert "surest" not in page(rank([entry("x/y", 0.3)]))
