"""Who is blended, and that every member's cells are the same."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.blending.members import as_table, members, read_part, weighed, with_images
from common.classes import PROBABILITIES
from common.errors import DataError
from common.predictions import write_image_predictions, write_predictions
from tests.test_blending_fitting import params
from tests.test_roster import publish

P = list(PROBABILITIES)
CELLS = pd.DataFrame({"image_id": ["a", "a", "b", "b"], "cell_id": [2, 10, 1, 3]})


def predictions(seed: int) -> pd.DataFrame:
    values = np.random.default_rng(seed).random((len(CELLS), len(P)))
    return CELLS.join(pd.DataFrame(values, columns=P))


def of_images(seed: int, ids: list[str]) -> pd.DataFrame:
    values = np.random.default_rng(seed).random((len(ids), len(P)))
    return pd.DataFrame({"image_id": ids}).join(pd.DataFrame(values, columns=P))


def test_members_are_aligned_cell_by_cell_and_one_without_a_cell_is_named(tmp_path: Path) -> None:
    for name, seed in (("x/one", 0), ("x/two", 1)):
        write_predictions(predictions(seed)[:: 1 - 2 * seed], tmp_path / name / "oof.parquet", CELLS)
    folders = [tmp_path / "x/one", tmp_path / "x/two"]
    part = read_part(folders, "oof", CELLS[::-1], ["a", "b"])
    pd.testing.assert_frame_equal(part.cells, CELLS)
    assert part.image.tolist() == [0, 0, 1, 1]
    assert part.of_image is None
    for row, seed in enumerate((0, 1)):
        np.testing.assert_allclose(part.cell[row], predictions(seed)[P], rtol=1e-6)
        pd.testing.assert_frame_equal(
            as_table(part, part.cell[row]), predictions(seed), check_dtype=False, rtol=1e-6
        )
    predictions(1)[:3].to_parquet(tmp_path / "x/two/oof.parquet")
    with pytest.raises(DataError, match=r"x/two/oof.parquet: 1 cells are missing, first b cell 3"):
        read_part(folders, "oof", CELLS, ["a", "b"])
    with pytest.raises(DataError, match=r"x/one/test.parquet: no such table"):
        read_part(folders, "test", CELLS, ["a", "b"])


def test_image_probabilities_of_those_that_publish_them_are_averaged_and_given_to_cells(
    tmp_path: Path,
) -> None:
    ids = ["a", "b", "without a cell"]
    folders = [tmp_path / "x" / name for name in ("one", "two", "three")]
    for seed, folder in enumerate(folders):
        write_predictions(predictions(seed), folder / "oof.parquet", CELLS)
        if seed:
            write_image_predictions(of_images(seed, ids)[::-1], folder / "oof_images.parquet", ids)
    assert with_images(folders) == folders[1:]
    part = read_part(folders, "oof", CELLS, ids)
    mean = (of_images(1, ids)[P] + of_images(2, ids)[P]).to_numpy() / 2
    assert part.of_image is not None
    np.testing.assert_allclose(part.of_image, mean[[0, 0, 1, 1]], rtol=1e-6)
    only_b = part.take(np.array([2, 3]))
    assert only_b.image.tolist() == [0, 0]
    assert only_b.of_image is not None
    np.testing.assert_allclose(only_b.of_image, mean[[1, 1]], rtol=1e-6)
    with pytest.raises(DataError, match=r"two/oof_images.parquet: 1 images are missing, first c"):
        read_part(folders, "oof", CELLS, [*ids, "c"])


def test_members_are_the_published_folders_of_recipes_that_are_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no predictions; run: dvc repro"):
        members(tmp_path / "predictions", tmp_path / "approaches")
    for name in ("x/two", "x/one", "y/three"):
        (tmp_path / "predictions" / name).mkdir(parents=True)
        (tmp_path / "predictions" / name / "oof.parquet").touch()
    publish(tmp_path / "approaches", {"x": ["one", "two"], "y": ["three"]})
    found = members(tmp_path / "predictions", tmp_path / "approaches")
    assert [str(folder.relative_to(tmp_path / "predictions")) for folder in found] == [
        "x/one",
        "x/two",
        "y/three",
    ]
    publish(tmp_path / "approaches", {"x": ["one"]})
    with pytest.raises(DataError, match=r"predictions/x/two: x/two is no recipe that is on .*delete it"):
        members(tmp_path / "predictions", tmp_path / "approaches")


def test_members_that_learned_from_others_are_not_weighed_where_they_look_too_good(tmp_path: Path) -> None:
    publish(tmp_path, {"x": ["one", "two"]})
    folders = [Path("predictions/x/one"), Path("predictions/x/two")]
    (tmp_path / "x/recipes/one.yaml").write_text("labels: image")
    (tmp_path / "x/recipes/two.yaml").write_text("labels: [image, {kind: pseudo, system: x/one}]")
    assert weighed(folders, params(), tmp_path) == folders[:1]
    assert weighed(folders, params(stacked="weigh"), tmp_path) == folders
    fixed = {"x/one": 0.5, "x/two": 0.5}
    assert weighed(folders, params(weights="fixed", fixed=fixed), tmp_path) == folders
    with pytest.raises(DataError, match="every member learned from another system"):
        weighed(folders[1:], params(), tmp_path)
