"""How noisy labels are: shares by hand, intervals against scipy and by simulation, real judgements."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from common.cells import KEYS
from common.classes import PROBABILITIES, parse_labels
from common.errors import DataError, ParamsError
from common.labels.noise import (
    judged_by_list,
    judged_by_score,
    judged_in_table,
    noise_of_labels,
    second_opinion,
    share_of_cells,
)
from common.labels.scores import read_scores
from common.stages import noise as stage


def test_the_share_by_hand() -> None:
    judged = pd.DataFrame(
        {
            "image_id": ["a", "a", "a", "b", "b", "unlabelled"],
            "class": [3, 3, 3, 3, 3, 3],
            "shows": [True, True, False, False, True, True],
        }
    )
    report = noise_of_labels(judged, {"a": (3,), "b": (5,)})
    row = report.iloc[3]
    assert (row["cells"], row["images"], row["shows"]) == (3, 1, pytest.approx(2 / 3))
    assert (row["cells_without"], row["images_without"], row["shows_without"]) == (2, 1, 0.5)
    assert report["cells"][5] == 0
    assert report["shows"].isna()[5]


@pytest.mark.parametrize(("shown", "count"), [(3, 10), (0, 8), (8, 8), (40, 90)])
def test_of_one_cell_an_image_the_interval_is_wilsons(shown: int, count: int) -> None:
    found = share_of_cells(np.arange(count) < shown, np.arange(count))
    expected = binomtest(shown, count).proportion_ci(method="wilson")
    assert found.share == shown / count
    # images of one cell leave no room for a design effect but their estimate has one image less of freedom
    assert found.low == pytest.approx(expected.low, abs=0.02)
    assert found.high == pytest.approx(expected.high, abs=0.02)


def test_cells_that_always_agree_within_an_image_count_as_one() -> None:
    shows = np.repeat(np.arange(20) < 5, 30)
    found, single = (
        share_of_cells(shows, np.repeat(np.arange(20), 30)),
        share_of_cells(shows[::30], np.arange(20)),
    )
    assert found == pytest.approx(single)


def test_the_interval_holds_the_true_share_in_about_19_of_20_samples() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        of_image = rng.beta(1.2, 2.8, 60)  # mean .3, and images differ a lot
        shows = rng.random((60, 15)) < of_image[:, None]
        found = share_of_cells(shows.ravel(), np.repeat(np.arange(60), 15))
        held.append(found.low <= 0.3 <= found.high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_a_table_of_truth_is_judged_class_by_class() -> None:
    table = pd.DataFrame({"image_id": ["a"], "cell_id": [1]}).assign(**dict.fromkeys(PROBABILITIES, np.nan))
    table["p_2"], table["p_7"] = 0.5, 0.4
    judged = judged_in_table(table)
    assert dict(zip(judged["class"], judged["shows"], strict=True)) == {2: True, 7: False}


def test_the_last_score_of_a_cell_judges_it() -> None:
    scores = pd.DataFrame({"image_id": "a", "cell_id": [1, 1, 2], "class": 11, "score": [5, 1, 3]})
    judged = judged_by_score(scores, 3)
    assert dict(zip(judged["cell_id"], judged["shows"], strict=True)) == {1: False, 2: True}


def test_cleanlab_suspects_the_labels_that_a_model_denies() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 19)) < 0.3
    weak = truth | (rng.random((400, 19)) < 0.1)
    cells = pd.DataFrame({"image_id": "a", "cell_id": np.arange(400)})
    tables = [
        pd.concat([cells, pd.DataFrame(values.astype(float), columns=list(PROBABILITIES))], axis=1)
        for values in (weak, np.clip(0.8 * truth + rng.random((400, 19)) * 0.2, 0, 1))
    ]
    opinion = second_opinion(*tables)
    wrong = (weak & ~truth).sum(axis=0) / weak.sum(axis=0)
    found = opinion["cleanlab_wrong"]
    assert np.all(found > 0.25 * wrong)
    assert np.all(found <= wrong + 1e-9)  # it prunes by its own estimate, and calls no right label wrong here
    assert list(opinion["cleanlab_cells"]) == list(weak.sum(axis=0))


def test_a_list_of_labelled_cells_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_text("ID,cell_index,image_label,cell_label\na,1,0;16,16\na,2,0;16,\n")
    judged, labels = judged_by_list(path)
    assert labels == {"a": (0, 16)}
    assert judged[judged["shows"]][[*KEYS, "class"]].to_numpy().tolist() == [["a", "1", 16]]
    path.write_text("ID,cell_index,image_label,cell_label\na,1,0;19,16\n")
    with pytest.raises(DataError, match="'19' is not a class id"):
        judged_by_list(path)


def test_the_report_needs_one_way_to_judge_cells(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="give --images and one of"):
        stage.main(tmp_path / "out.csv")


def test_people_say_that_real_image_labels_hold_for_most_cells(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.main(tmp_path / "noise.csv", cells=shared / "data/labels/manual_cells.csv")
    report = pd.read_csv(tmp_path / "noise.csv")
    assert set(report["cells"] + report["cells_without"]) == {2_537}
    assert 0.5 < (report["shows"] * report["cells"]).sum() / report["cells"].sum() < 0.9
    assert "Nucleoplasm" in capsys.readouterr().out


def test_people_found_few_mitotic_cells_in_images_labelled_so(shared: Path) -> None:
    labels = pd.read_csv(shared / "data/labels/kaggle2021_train.csv")
    known = {i: parse_labels(text) for i, text in zip(labels["ID"], labels["Label"], strict=True)}
    scores = read_scores(shared / "data/labels/crodoc_cell_scores.csv.gz", {}, ("cell_index0",))
    judged = judged_by_score(scores[scores["class"] != 6], 3)
    row = noise_of_labels(judged, known).iloc[11]
    assert 0.01 < row["low"] < row["shows"] < row["high"] < 0.12
    assert row["cells"] > 1000
