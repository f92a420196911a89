"""Rules of quality: limits by hand, weights against a cell-by-cell reading of the published rule, and what trains."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.cells import COLUMNS
from common.errors import DataError, ParamsError
from common.image_table import COLUMNS as IMAGE_COLUMNS
from common.measures import QUALITY
from common.params import build
from common.quality import (
    RULES,
    QualityParams,
    Weights,
    cut_weight,
    judge_cells,
    quality_weight,
    stain_shares,
    training_cells,
)
from common.stages import labels

GOOD: dict[str, Any] = {
    "area_px": 1000,
    "nucleus_area_px": 200,
    "touches_border": False,
    "area_share": 0.03,
    "red_mean": 30.0,
    "green_mean": 20.0,
    "blue_mean": 15.0,
    "yellow_mean": 25.0,
    "green_top": 100.0,
    "nucleus_blue_mean": 80.0,
    "nucleus_free_rows": 0.8,
    "nucleus_free_columns": 0.8,
    "border_nucleus": False,
    "red_sharpness": 0.1,
    "blue_sharpness": 0.1,
}


def cells_like(*changes: dict[str, Any], image_id: str = "a") -> pd.DataFrame:
    """A cell for each change to a good one."""
    rows = [{"image_id": image_id, "cell_id": number, **GOOD, **c} for number, c in enumerate(changes, 1)]
    return pd.DataFrame(rows)


LIMITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("border_nucleus", {"border_nucleus": True}, {}),
    ("nucleus_missing", {"nucleus_area_px": 0, "nucleus_blue_mean": np.nan}, {"nucleus_area_px": 1}),
    ("nucleus_missing", {"nucleus_blue_mean": 0.0}, {"nucleus_blue_mean": 0.01}),
    ("nucleus_cut", {"nucleus_free_rows": 0.2}, {"nucleus_free_rows": 0.21}),
    ("nucleus_cut", {"nucleus_free_columns": 0.0}, {"nucleus_free_columns": 0.21}),
    ("tiny", {"area_share": 26.2 / 512**2}, {"area_share": 26.3 / 512**2}),
    ("low_green", {"green_mean": 0.99}, {"green_mean": 1.0}),
    ("touches_border", {"touches_border": True}, {}),
    ("out_of_focus", {"red_sharpness": 0.014, "blue_sharpness": 0.01}, {"red_sharpness": 0.014}),
    ("out_of_focus", {"red_sharpness": np.nan, "blue_sharpness": 0.01}, {"blue_sharpness": np.nan}),
]


@pytest.mark.parametrize(("rule", "flawed", "fine"), LIMITS)
def test_a_rule_holds_up_to_its_limit(rule: str, flawed: dict[str, Any], fine: dict[str, Any]) -> None:
    judged = judge_cells(cells_like({}, flawed, fine), QualityParams())
    assert judged[rule].tolist() == [False, True, False]
    others = [name for name in RULES if name != rule]
    assert not judged[others].any(axis=None)


def test_outliers_are_judged_within_their_image() -> None:
    dim = pd.concat([cells_like(*[{"red_mean": 2.0}] * 12, image_id="dim"), cells_like(*[{}] * 12)])
    assert not judge_cells(dim.reset_index(drop=True), QualityParams())["outlier"].any()
    # 12 cells of 30 and one of x: below .077 of the mean where x < .077 (12 * 30 + x) / 13
    limit = 0.077 * 12 * 30 / (13 - 0.077)
    for red, expected in ((limit - 0.01, True), (limit + 0.01, False)):
        judged = judge_cells(cells_like(*[{}] * 12, {"red_mean": red}), QualityParams())
        assert judged["outlier"].tolist() == [False] * 12 + [expected]
    faint = {"blue_mean": 3.0, "yellow_mean": 3.0}  # 9 of 375 is below .05
    assert judge_cells(cells_like(*[{}] * 12, faint), QualityParams())["outlier"].tolist()[-1]


def test_without_nucleus_masks_nothing_is_known_of_nuclei() -> None:
    none = dict.fromkeys(("nucleus_blue_mean", "nucleus_free_rows", "nucleus_free_columns"), np.nan)
    judged = judge_cells(cells_like(*[{**none, "nucleus_area_px": 0}] * 3), QualityParams())
    assert not judged[list(RULES)].any(axis=None)
    assert judged["weight"].tolist() == [1, 1, 1]


def test_obvious_staining_is_a_bright_spot() -> None:
    judged = judge_cells(cells_like({"green_top": 149.9}, {"green_top": 150.0}), QualityParams())
    assert judged["obvious_staining"].tolist() == [False, True]
    assert judged["weight"].tolist() == [1, 1]


def test_the_weight_of_a_cut_nucleus_by_hand() -> None:
    expected = [1, 0.999**0.1, 0.0666**0.1, 0.001, 0.001, 1]
    free = np.array([0.31, 0.3, 0.02, 0.01, 0, np.nan])
    assert cut_weight(free, 0.001).tolist() == pytest.approx(expected)
    assert cut_weight(free, 1.0).tolist() == [1] * 6


def published_weights(table: pd.DataFrame) -> list[float]:
    """The rule of one image as it was published: nucleus first, then outliers among the cells that are left."""
    weights = []
    rows = table.to_dict("records")
    for row in rows:
        if row["nucleus_area_px"] == 0 or row["nucleus_blue_mean"] == 0:
            weights.append(0.01)
            continue
        weight = 1.0
        for free in (row["nucleus_free_rows"], row["nucleus_free_columns"]):
            weight *= 1.0 if free > 0.3 else (3.33 * free) ** 0.1 if free > 0.01 else 0.001
        weights.append(weight)
    red = [row["red_mean"] * row["area_px"] for row in rows]
    product = [row["blue_mean"] * row["yellow_mean"] * row["area_px"] ** 2 for row in rows]
    valid = [number for number, weight in enumerate(weights) if weight > 0.01]
    for number in list(valid):
        few_red = red[number] < 0.077 * sum(red[v] for v in valid) / len(valid)
        if few_red or product[number] < 0.05 * sum(product[v] for v in valid) / len(valid):
            weights[number] *= 0.001
    return weights


@settings(deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 25))
def test_weights_are_those_of_the_published_rule(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    table = cells_like(*[{}] * count).assign(
        area_px=rng.integers(1, 5000, count),
        nucleus_area_px=np.append(rng.integers(0, 3, count - 1), 1),
        nucleus_blue_mean=rng.choice([0.0, 5.0, 80.0], count),
        nucleus_free_rows=rng.choice([0, 0.01, 0.02, 0.25, 0.3, 0.8], count),
        nucleus_free_columns=rng.choice([0, 0.01, 0.1, 0.3, 0.9], count),
        **{f"{color}_mean": rng.lognormal(2, 1.5, count) for color in ("red", "blue", "yellow")},
    )
    assert quality_weight(table, Weights()).tolist() == pytest.approx(published_weights(table))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 100_000))
def test_rules_and_weights_do_not_depend_on_the_order_of_cells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = pd.concat(
        [cells_like(*[{"red_mean": rng.lognormal(2, 2)} for _ in range(6)], image_id=i) for i in "abc"],
        ignore_index=True,
    )
    shuffled = table.sample(frac=1, random_state=seed)
    judged = judge_cells(table, QualityParams())
    pd.testing.assert_frame_equal(judge_cells(shuffled, QualityParams()).sort_index(), judged)
    assert judged["weight"].between(0, 1).all()
    assert stain_shares(table)["red"].groupby(table["image_id"]).mean().tolist() == pytest.approx([1, 1, 1])


def test_weights_multiply_and_can_be_switched_off() -> None:
    flawed = cells_like({"touches_border": True, "border_nucleus": True, "area_share": 0.00001})
    assert quality_weight(flawed, Weights(touches_border=0.5, border_nucleus=0.5, tiny=0.1)).tolist() == [
        0.025
    ]
    assert quality_weight(flawed, Weights(tiny=1.0)).tolist() == [1]


IMAGES = pd.DataFrame(
    {
        "image_id": ["a", "b", "c", "d"],
        "labels": [(0,), (11, 2), (0,), ()],
        "split": ["train", "train", "train", "test"],
        "duplicate_group": ["a", "b", "a", "a"],
        "height": 512,
        "width": [512, 512, 1024, 512],
    }
)


def four_images(**changes: Any) -> pd.DataFrame:
    return pd.concat([cells_like({}, changes, image_id=i) for i in "abcd"], ignore_index=True)


def test_every_cell_trains_unless_rules_are_named() -> None:
    cells = four_images(nucleus_free_rows=0.1)
    assert training_cells(cells, IMAGES, QualityParams()).all()
    assert training_cells(cells[COLUMNS[:2]], IMAGES, QualityParams()).all()  # nothing is asked of the table


def test_flawed_cells_do_not_train_but_those_of_spared_classes() -> None:
    cells = four_images(nucleus_free_rows=0.1)
    params = QualityParams(train_without=("nucleus_cut", "tiny"))
    assert training_cells(cells, IMAGES, params).tolist() == [True, False, True, True] + [True, False] * 2
    none = QualityParams(train_without=("nucleus_cut",), train_always=())
    assert training_cells(cells, IMAGES, none).tolist() == [True, False] * 4


def test_of_duplicates_one_trains() -> None:
    chosen = training_cells(four_images(), IMAGES, QualityParams(duplicates="one"))
    assert chosen.tolist() == [False, False] + [True, True] * 3  # c is larger than a; d is no training image


def test_the_labels_stage_leaves_out_cells_that_do_not_train(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    other = [column for column in IMAGE_COLUMNS if column not in IMAGES]
    IMAGES.assign(**dict.fromkeys(other, "")).to_parquet(tmp_path / "images/images.parquet")
    cells = four_images(nucleus_free_rows=0.1)
    cells.assign(**{name: 0.0 for name in COLUMNS if name not in cells}).to_parquet(
        tmp_path / "cells.parquet"
    )
    (tmp_path / "recipe.yaml").write_text("labels: image\n")
    for section, expected in (("train_without: [nucleus_cut]", "abbc"), ("duplicates: one", "bbcc")):
        (tmp_path / "params.yaml").write_text(f"quality:\n  {section}\n")
        recipe, images, table, out = (
            tmp_path / name for name in ("recipe.yaml", "images", "cells.parquet", "out")
        )
        labels.main(recipe, images, table, out, params=tmp_path / "params.yaml")
        assert "".join(pd.read_parquet(tmp_path / "out")["image_id"]) == expected


def test_no_cells_are_judged_without_complaint() -> None:
    judged = judge_cells(pd.DataFrame(columns=[*COLUMNS, *QUALITY]), QualityParams())
    assert judged.empty
    assert list(judged.columns) == [*RULES, "obvious_staining", "weight"]


def test_an_old_table_is_refused() -> None:
    old = cells_like({}).drop(columns=QUALITY)
    with pytest.raises(DataError, match=r"lacks the columns area_share, .*run: dvc repro -f segment"):
        judge_cells(old, QualityParams())
    with pytest.raises(DataError, match="lacks the columns"):
        training_cells(old, IMAGES, QualityParams(train_without=("tiny",)))


def test_params_name_the_rules_there_are() -> None:
    assert set(Weights.model_fields) == set(RULES)
    with pytest.raises(ParamsError, match=r"quality.train_without.0: .*'nucleus_missing'.*found 'nucleus'"):
        build(QualityParams, {"train_without": ["nucleus"]}, "quality")
    with pytest.raises(ParamsError, match=r"weights.outliers: unknown key; did you mean 'outlier'"):
        build(QualityParams, {"weights": {"outliers": 0.1}}, "quality")
    with pytest.raises(ParamsError, match="less than or equal to 1"):
        build(QualityParams, {"weights": {"outlier": 2}}, "quality")
