"""Scores of cells find their cell by place, and never another one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.cells import cell_mask_path, read_mask, write_mask
from common.errors import DataError
from common.labels.build import build_labels, missed_scores, read_sources
from common.labels.scores import MadeOn, attach, locate, middles, read_scores
from common.labels.sources import Known
from common.labels.table import CellLabels
from tests.labelled import known, mask_of

PUBLISHED = {1: 39_989, 6: 2_884, 8: 34_140, 9: 42_738, 11: 9_470, 12: 22_068, 15: 11_569}
"""Lines of the published files; the two fields that lack here hold 10 lines of class 11 and 54 of class 15."""


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


def label(data: Known, folder: Path, scores: str, **values: object) -> CellLabels:
    """The labels that a file of scores of class 11 makes; masks of its numbers are in ``folder``/scored."""
    (folder / "scores.csv").write_text(scores)
    source = {"kind": "scores", "file": str(folder / "scores.csv"), "classes": [11], "map": {1: 0, 5: 1}}
    return build_labels(read_sources([source | values], "recipe"), data.cells, data)


def spindles(labels: CellLabels) -> dict[tuple[str, int], float]:
    """The known values of class 11."""
    keys = labels.cells.itertuples(index=False, name=None)
    return {key: float(v) for key, v in zip(keys, labels.values[:, 11], strict=True) if not np.isnan(v)}


def test_a_score_belongs_to_the_cell_at_its_place(tmp_path: Path) -> None:
    labels = label(known(tmp_path), tmp_path, "ID,y,x,score\na,5.5,5.5,5\nb,36,22,1\n")
    assert spindles(labels) == {("a", 1): 1, ("b", 2): 0}
    assert missed_scores(labels).empty


def test_scores_follow_their_cells_when_these_are_numbered_anew(tmp_path: Path) -> None:
    scored = known(tmp_path / "scored")
    data = known(tmp_path, {"a": mask_of(2, 1), "b": mask_of(7, 3, 1)})
    numbers = {"masks": str(scored.folder("masks")), "first": 1}
    labels = label(data, tmp_path, "ID,cell_id,score\na,1,5\na,2,1\nb,2,5\n", made_on=numbers)
    assert spindles(labels) == {("a", 2): 1, ("a", 1): 0, ("b", 3): 1}


def test_numbers_from_0_and_from_1_mean_the_same_cells(tmp_path: Path) -> None:
    data = known(tmp_path)
    masks = str(data.folder("masks"))
    from_0 = label(
        data,
        tmp_path,
        "ID,cell,score\na,0,5\na,1,1\n",
        made_on={"masks": masks, "first": 0, "column": "cell"},
    )
    from_1 = label(data, tmp_path, "ID,cell_id,score\na,1,5\na,2,1\n", made_on={"masks": masks, "first": 1})
    assert spindles(from_0) == spindles(from_1) == {("a", 1): 1, ("a", 2): 0}


def test_numbers_that_count_from_0_are_refused_as_numbers_from_1(tmp_path: Path) -> None:
    data = known(tmp_path)
    with pytest.raises(DataError, match=r"has a cell 0, but made_on\.first is 1"):
        label(
            data,
            tmp_path,
            "ID,cell_id,score\na,0,5\n",
            made_on={"masks": str(tmp_path / "masks"), "first": 1},
        )


def test_numbers_that_count_from_1_are_refused_as_numbers_from_0(tmp_path: Path) -> None:
    ids = [f"i{number:02d}" for number in range(20)]
    for image_id in ids:
        write_mask(cell_mask_path(tmp_path, image_id), mask_of(1, 2))
    scores = pd.DataFrame(
        {"image_id": ids, "cell_id": 1, "score": 5, "class": 11}
    )  # hand-picked: never the last
    made_on, sizes = MadeOn(masks=str(tmp_path), first=0), dict.fromkeys(ids, (40, 40))
    with pytest.raises(DataError, match="no image has a cell 0, about 10 were to be expected"):
        locate(scores, made_on, sizes, "picked")
    assert (locate(scores[:6], made_on, sizes, "picked")["reason"] == "").all()  # too few to tell


def test_an_image_with_a_number_beyond_its_mask_loses_all_its_scores(tmp_path: Path) -> None:
    data = known(tmp_path)
    numbers = {"masks": str(tmp_path / "masks"), "first": 1}
    labels = label(data, tmp_path, "ID,cell_id,score\na,1,5\na,3,1\nb,2,5\n", made_on=numbers)
    assert spindles(labels) == {("b", 2): 1}
    missed = missed_scores(labels)
    assert list(missed["image_id"]) == ["a", "a"]
    assert set(missed["reason"]) == {"mask has no cell of value 3: not the mask that was scored"}


def test_scores_without_a_cell_are_listed_with_the_reason_and_never_moved(tmp_path: Path) -> None:
    scores = "ID,y,x,score\na,15,15,5\na,-3,5,5\nz,5,5,5\nb,5,5,5\n"
    labels = label(known(tmp_path), tmp_path, scores)
    assert spindles(labels) == {("b", 1): 1}
    missed = missed_scores(labels).set_index(["image_id", "y"])["reason"].to_dict()
    expected = {("a", 15): "no cell there", ("a", -3): "outside the image", ("z", 5): "no such image"}
    assert missed == expected


def test_masks_of_another_size_or_missing_ones_give_no_place(tmp_path: Path) -> None:
    write_mask(cell_mask_path(tmp_path, "a"), mask_of(1, 2)[:20])
    scores = pd.DataFrame({"image_id": ["a", "b"], "cell_id": 1, "score": 5, "class": 11})
    found = locate(scores, MadeOn(masks=str(tmp_path), first=1), {"a": (40, 40), "b": (40, 40)}, "scores")
    assert list(found["reason"]) == [
        "scored on a mask of 40 x 20 px, the image has 40 x 40",
        "no b_cell.png among the masks that were scored",
    ]


def test_the_last_of_several_scores_of_a_cell_counts(tmp_path: Path) -> None:
    labels = label(known(tmp_path), tmp_path, "ID,y,x,score\na,5,5,5\na,5,5,1\n")
    assert spindles(labels) == {("a", 1): 0}
    assert missed_scores(labels).empty


def test_cells_that_became_one_count_only_where_their_scores_agree(tmp_path: Path) -> None:
    scores = "ID,y,x,score\na,5,5,5\na,8,8,1\nb,5,5,5\nb,8,8,5\n"
    labels = label(known(tmp_path), tmp_path, scores)
    assert spindles(labels) == {("b", 1): 1}
    assert list(missed_scores(labels)["reason"]) == ["several scored cells are one now"] * 2


def test_a_score_of_a_cell_that_is_not_trained_on_is_listed(tmp_path: Path) -> None:
    data = known(tmp_path)
    scores = pd.DataFrame({"image_id": ["a"], "y": 5, "x": 5, "class": 11, "score": 5, "reason": ""})
    found = attach(scores, data.cells[1:], data.folder("masks"), "scores")
    assert found[["cell_id", "reason"]].to_numpy().tolist() == [[0, "cell is not to be labelled"]]


def test_a_place_lies_inside_its_cell_where_the_centroid_does_not(tmp_path: Path) -> None:
    data = known(tmp_path)
    mask = mask_of(1, 2)
    crescent = data.cells.iloc[1]
    assert mask[round(crescent["centroid_y"]), round(crescent["centroid_x"])] == 0
    assert {cell_id: mask[place] for cell_id, place in middles(mask).items()} == {1: 1, 2: 2}


def test_cells_without_a_score_get_the_value_for_ungraded_positives(tmp_path: Path) -> None:
    data = known(tmp_path)
    (tmp_path / "scores.csv").write_text("ID,class,y,x,score\na,11,5,5,5\n")
    given = {"kind": "scores", "file": str(tmp_path / "scores.csv"), "classes": [11], "ungraded": 0.69}
    labels = build_labels(read_sources(["image", given], "recipe"), data.cells, data)
    assert spindles(labels) == {("a", 1): 1, ("a", 2): pytest.approx(0.69), ("b", 1): 0, ("b", 2): 0}


def test_a_file_of_picked_cells_has_no_score(tmp_path: Path) -> None:
    labels = label(known(tmp_path), tmp_path, "ID,y,x\na,5,5\n", map={1: 0.9})
    assert spindles(labels) == {("a", 1): pytest.approx(0.9)}


def test_wrong_files_of_scores_are_refused(tmp_path: Path) -> None:
    data = known(tmp_path)
    for text, said in (
        ("ID,y,score\na,5,5\n", "lacks the columns x"),
        ("ID,y,x,score\na,5,5,high\n", "1 values of score are no whole numbers, first 'high'"),
        ("ID,y,x,score\na,5,5,3\n", r"has scores \[3\], but the map of scores has \[1, 5\]"),
        ("ID,class,y,x,score\na,8,5,5,5\n", "has no score of class 11"),
    ):
        with pytest.raises(DataError, match=said):
            label(data, tmp_path, text)


def test_the_published_scores_load(shared: Path) -> None:
    path = shared / "data/labels/crodoc_cell_scores.csv.gz"
    scores = read_scores(path, {"source": "relabel"}, ("cell_index0",))
    assert scores.groupby("class").size().to_dict() == PUBLISHED
    assert scores.loc[scores["class"] != 6, "cell_index0"].min() == 0  # numbers count from 0


def test_real_scores_find_their_cells_in_masks_numbered_anew(shared: Path, tmp_path: Path) -> None:
    scores = read_scores(shared / "data/labels/cell_scores_of_fields.csv", {}, ("cell_index0",))
    masks = shared / "data/fields_masks"
    made_on = MadeOn(masks=str(masks), first=0, column="cell_index0")
    sizes, cells = {}, []
    for image_id in scores["image_id"].unique():
        mask = read_mask(cell_mask_path(masks, image_id))
        sizes[image_id] = mask.shape
        backwards = np.where(mask, mask.max() + 1 - mask, 0).astype(np.uint16)
        write_mask(cell_mask_path(tmp_path, image_id), backwards)
        cells += [(image_id, value) for value in range(1, mask.max() + 1)]
    placed = locate(scores, made_on, sizes, "scores")
    found = attach(placed, pd.DataFrame(cells, columns=["image_id", "cell_id"]), tmp_path, "scores")
    assert len(scores) == 82
    assert len(found) == len(scores.drop_duplicates(["image_id", "class", "cell_index0"]))
    last = found["image_id"].map(pd.DataFrame(cells).groupby(0)[1].max())
    assert (found["cell_id"] == last - found["cell_index0"]).all()
