"""The blend as a whole: it reads files, never fits what it scores, and says honestly what it gained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.blending.blend import Data, blend_members, blend_new, read_targets, summary
from common.blending.members import name_of
from common.blending.report import headline, report, terminal
from common.classes import CLASSES, PROBABILITIES
from common.errors import DataError, ParamsError
from common.metrics.ranking import cell_average_precision
from common.predictions import Predictions, write_image_predictions, write_predictions
from tests.test_blending_fitting import made_part, params

P = list(PROBABILITIES)


@pytest.fixture
def published(tmp_path: Path) -> tuple[list[Path], Data, np.ndarray]:
    """Three members of 40 training and 10 test images, 4 cells each, and the true classes of all cells."""
    part, targets, fold = made_part(3, 50, 0)
    ids = sorted(part.cells["image_id"].unique())
    labels = [np.flatnonzero(targets[4 * i]).tolist() for i in range(50)]
    split = ["train"] * 40 + ["test"] * 10
    images = pd.DataFrame({"image_id": ids, "labels": labels, "split": split})
    folds = pd.DataFrame({"image_id": ids[:40], "fold": fold[::4][:40]})
    data, folders = Data(images, part.cells, folds), []
    for member, values in enumerate(part.cell):
        table = part.cells.join(pd.DataFrame(values, columns=P))
        folders.append(tmp_path / "x" / f"m{member}")
        for file, rows in (("oof", slice(0, 160)), ("test", slice(160, 200))):
            write_predictions(table[rows], folders[-1] / f"{file}.parquet", part.cells[rows])
    return folders, data, targets


def test_the_files_of_members_become_tables_and_a_report(
    published: tuple[list[Path], Data, np.ndarray],
) -> None:
    folders, data, targets = published
    blend = blend_members(folders, data, params(weights="convex", calibration="platt"))
    assert blend.oof["cell_id"].tolist() == list(range(160))
    assert blend.test["cell_id"].tolist() == list(range(160, 200))
    found = json.loads(json.dumps(blend.report, allow_nan=False))
    assert found["members"] == ["x/m0", "x/m1", "x/m2"]
    shown = headline(found)
    assert shown["val/map_cell_weak"] == found["mean"]["blend"]
    assert sum(shown[f"blend/weight/{name}"] for name in found["members"]) == pytest.approx(1, abs=1e-3)
    assert shown["blend/gain_low"] <= shown["blend/gain"] <= shown["blend/gain_high"]
    value, per_class = cell_average_precision(blend.oof[P].to_numpy(), targets[:160])
    assert found["mean"]["blend"] == pytest.approx(value, abs=1e-4)
    assert found["classes"]["Nucleoli"]["blend"] == pytest.approx(per_class[2], abs=1e-4)
    assert found["mean"]["best"] == "x/m0"
    assert "x/m0, x/m1, x/m2: convex weights" in summary(found)
    assert len(terminal(found).splitlines()) == 2 + len(CLASSES)


def test_fixed_weights_choose_members_and_name_unknown_ones(
    published: tuple[list[Path], Data, np.ndarray],
) -> None:
    folders, data, _ = published
    blend = blend_members(folders, data, params(weights="fixed", fixed={"x/m2": 0.75, "x/m0": 0.25}))
    tables = [pd.read_parquet(folder / "test.parquet") for folder in folders]
    np.testing.assert_allclose(blend.test[P], 0.25 * tables[0][P] + 0.75 * tables[2][P], rtol=1e-5)
    with pytest.raises(ParamsError, match=r"blend\.fixed names y/z, but the members are x/m0, x/m1, x/m2"):
        blend_members(folders, data, params(weights="fixed", fixed={"y/z": 1.0}))


@pytest.mark.parametrize("calibration", ["platt", "rank"])
def test_new_images_are_blended_like_the_test_part(
    published: tuple[list[Path], Data, np.ndarray], calibration: str
) -> None:
    folders, data, _ = published
    of_images = data.images[["image_id"]].assign(**dict.fromkeys(P, 0.3))
    write_image_predictions(
        of_images[:40], folders[1] / "oof_images.parquet", list(of_images["image_id"][:40])
    )
    write_image_predictions(
        of_images[40:], folders[1] / "test_images.parquet", list(of_images["image_id"][40:])
    )
    image = {"source": "published", "weight": 0.25, "learn": "none"}
    given = params(weights="convex", calibration=calibration, image=image)
    known = {name_of(folder): pd.read_parquet(folder / "test.parquet")[::-1] for folder in folders}
    found = {
        name: Predictions(table, of_images[40:] if name == "x/m1" else None) for name, table in known.items()
    }
    new = blend_new(folders, data, given, found, data.cells[160:])
    pd.testing.assert_frame_equal(new, blend_members(folders, data, given).test)


def test_what_follows_the_mix_follows_it_in_all_tables(
    published: tuple[list[Path], Data, np.ndarray],
) -> None:
    folders, data, _ = published
    plain = blend_members(folders, data, params())
    drawn = blend_members(folders, data, params(postprocess={"image_mean": {"weight": 0.3, "by_class": {}}}))
    for before, after in ((plain.oof, drawn.oof), (plain.test, drawn.test)):
        mean = before.groupby("image_id")[P].transform("mean")
        np.testing.assert_allclose(after[P], 0.7 * before[P] + 0.3 * mean, rtol=1e-5)
    assert drawn.report["mean"] == plain.report["mean"]


def test_a_member_with_other_cells_and_an_image_without_a_fold_are_named(
    published: tuple[list[Path], Data, np.ndarray],
) -> None:
    folders, data, _ = published
    with pytest.raises(DataError, match="has no fold of image i039"):
        blend_members(folders, Data(data.images, data.cells, data.folds[:-1]), params())
    table = pd.read_parquet(folders[1] / "test.parquet")
    table.assign(cell_id=table["cell_id"] + 1).to_parquet(folders[1] / "test.parquet")
    with pytest.raises(DataError, match=r"m1/test.parquet: 10 cells are missing, first i040 cell 160"):
        blend_members(folders, data, params())


def test_data_without_test_images_are_blended(published: tuple[list[Path], Data, np.ndarray]) -> None:
    folders, data, _ = published
    train = data.images[data.images["split"] == "train"]
    for folder in folders:
        pd.read_parquet(folder / "test.parquet")[:0].to_parquet(folder / "test.parquet")
    for calibration in ("rank", "platt"):
        image = {"source": "cells", "weight": 0.3, "learn": "none"}
        given = params(calibration=calibration, image=image)
        assert len(blend_members(folders, Data(train, data.cells, data.folds), given).test) == 0


def test_labels_are_those_of_images_or_of_a_table(tmp_path: Path) -> None:
    images = pd.DataFrame({"image_id": ["a", "b"], "labels": [[0, 2], []]})
    cells = pd.DataFrame({"image_id": ["a", "b"], "cell_id": [1, 1]})
    weak = read_targets(tmp_path, images, cells)
    assert weak[0].tolist() == [1, 0, 1] + [0] * 16
    assert np.isnan(weak[1]).all()
    table = cells[1:].join(pd.DataFrame(0.25, index=[1], columns=P)).assign(source="soft", p_3=np.nan)
    table.to_parquet(tmp_path / "labels.parquet")
    soft = read_targets(tmp_path / "labels.parquet", images, cells)
    assert np.isnan(soft[0]).all()
    assert (soft[1, 2], np.isnan(soft[1, 3])) == (0.25, True)


def compare(gain: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(60), 4)
    targets = (rng.random((60, 19)) < 0.3)[image].astype(float)
    targets[:, 4], targets[:, 5] = 0, np.nan
    known = np.nan_to_num(targets)
    noise = rng.normal(size=(3, *targets.shape))
    weak, strong = known + 2 * noise[0], known + noise[1]
    blended = known * gain + strong
    return report(["weak", "strong"], np.stack([weak, strong]), blended, targets, image)


def test_the_report_names_the_best_and_its_interval_knows_a_gain_from_none() -> None:
    found = compare(1.0)
    assert found["classes"][CLASSES[4]] is None
    assert found["classes"][CLASSES[5]] is None
    mean = found["mean"]
    assert mean["best"] == "strong"
    assert mean["gain"] == pytest.approx(mean["blend"] - mean["members"]["strong"], abs=2e-4)
    assert 0 < mean["interval"][0] < mean["gain"] < mean["interval"][1]
    assert compare(0.0)["mean"]["interval"] == [0, 0]
    assert compare(-0.5)["mean"]["interval"][1] < 0


def test_a_report_without_labels_says_nothing() -> None:
    empty = report(["a"], np.zeros((1, 2, 19)), np.zeros((2, 19)), np.full((2, 19), np.nan), np.zeros(2, int))
    assert empty["mean"] is None
    assert terminal(empty).count("-") >= 20 * 3
