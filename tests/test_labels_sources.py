"""Labels made by a list of sources: what each changes, what it leaves, and who set a value last."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import DataError, ParamsError
from common.labels.build import build_labels, read_sources
from common.labels.sources import Known
from common.labels.table import CellLabels, sources_of
from common.labels.weak import copy_image_labels
from common.params import read_yaml
from tests.labelled import IMAGES, known, mask_of, publish
from tests.running import ROOT

EXAMPLE = ROOT / "docs/labels_datacentric_b0.yaml"
SYSTEM = "cell_crop/effb2_cell"


@pytest.fixture
def data(tmp_path: Path) -> Known:
    return known(tmp_path)


def build(data: Known, *sources: object) -> CellLabels:
    return build_labels(read_sources(list(sources), "recipe"), data.cells, data)


def column(labels: CellLabels, class_id: int) -> list[float]:
    """The values of a class in the cells a1, a2, b1, b2, c1, c2."""
    return [round(float(value), 6) for value in labels.values[:, class_id]]


def test_the_word_image_gives_the_table_of_image_labels(data: Known) -> None:
    table = build_labels(read_sources("image", "recipe"), data.cells, data).to_table()
    expected = copy_image_labels(IMAGES, data.cells)
    pd.testing.assert_frame_equal(table, expected.astype({"source": object}), check_dtype=False)


def test_each_value_knows_the_source_that_set_it_last(data: Known) -> None:
    publish(data, SYSTEM, p_6=[0.9, 0.1, 0.9, 0.9])
    labels = build(data, "image", {"kind": "auto_negative", "system": SYSTEM, "classes": [6]})
    table = labels.to_table()
    assert list(table["source"]) == ["image", "image 6=auto_negative", "image", "image"]
    expected = np.full((4, 19), "image", object)
    expected[1, 6] = "auto_negative"
    np.testing.assert_array_equal(sources_of(table), expected)
    counts = labels.counts().set_index("source")
    assert list(counts.loc["auto_negative"]) == [1, 0]
    assert list(counts.loc["image"]) == [4 * 19 - 1, 5]  # 6 in four cells and 11 in two, less one


def test_values_that_no_source_set_are_unknown(data: Known) -> None:
    publish(data, SYSTEM, p_6=[0.9, 0.1, 0.8, 0.7])
    table = build(data, {"kind": "pseudo", "system": SYSTEM, "classes": [6]}).to_table()
    assert len(table) == 4  # nothing is known of test cells
    assert table["p_5"].isna().all()
    assert set(table["source"]) == {"unknown 6=pseudo"}
    assert table["p_6"].to_list() == pytest.approx([0.9, 0.1, 0.8, 0.7])


def test_automatic_edits_only_lower_or_only_raise(data: Known) -> None:
    publish(data, SYSTEM, p_6=[0.29, 0.3, 0.7, 0.71], p_11=[0.9, 0.5, 0.71, 0.0])
    negative = build(data, "image", {"kind": "auto_negative", "system": SYSTEM, "classes": [6, 11]})
    assert column(negative, 6)[:4] == [0.01, 1, 1, 1]
    assert column(negative, 11)[:4] == [1, 1, 0, 0]  # 0 stays 0
    positive = build(data, "image", {"kind": "auto_positive", "system": SYSTEM, "classes": [6, 11]})
    assert column(positive, 6)[:4] == [1, 1, 1, 1]  # 1 stays 1
    assert column(positive, 11)[:4] == [1, 1, 0.99, 0]


def test_pseudo_labels_may_be_kept_to_images_with_the_label(data: Known) -> None:
    publish(data, SYSTEM, p_11=[0.6, 0.2, 0.8, 0.7])
    pseudo = {"kind": "pseudo", "system": SYSTEM, "classes": [11], "labelled_only": True}
    assert column(build(data, "image", pseudo), 11)[:4] == [0.6, 0.2, 0, 0]


def test_relative_pseudo_labels_reach_1_in_each_image(data: Known) -> None:
    publish(data, SYSTEM, p_6=[0.3, 0.1, 0.2, 0.4], p_11=[0.3, 0.6, 0.0, 0.0])
    pseudo = {"kind": "pseudo", "system": SYSTEM, "classes": [6, 11], "labelled_only": True, "relative": True}
    labels = build(data, "image", pseudo)
    assert column(labels, 6)[:4] == pytest.approx([1, 1 / 3, 0.5, 1], abs=1e-6)
    assert column(labels, 11)[:4] == [0.5, 1, 0, 0]


def test_pseudo_labels_fitted_to_scores_leave_those_alone(data: Known, tmp_path: Path) -> None:
    publish(data, SYSTEM, p_6=[0.1, 0.3, 0.2, 0.1])
    scores = tmp_path / "scores.csv"
    scores.write_text("ID,class,y,x,score\na,6,5,5,0\na,6,36,36,5\n")
    people = {"kind": "scores", "file": str(scores), "classes": [6]}
    pseudo = {
        "kind": "pseudo",
        "system": SYSTEM,
        "classes": [6],
        "labelled_only": True,
        "fitted_to": ["scores"],
    }
    found = column(build(data, "image", people, pseudo), 6)[:4]
    assert found[:2] == [0, 1]
    assert (
        0.3 < found[3] < 0.5 < found[2] < 0.7
    )  # between the two scored cells, nearer to the one it resembles
    with pytest.raises(DataError, match="0 scored cells are predicted"):
        build(data, "image", pseudo)


@pytest.mark.parametrize(("table", "split"), [("test", "train"), ("oof", "test")])
def test_only_out_of_fold_tables_of_all_training_cells_make_labels(
    data: Known, table: str, split: str
) -> None:
    publish(data, SYSTEM, table, split)
    with pytest.raises(DataError, match="out-of-fold tables only"):
        build(data, {"kind": "pseudo", "system": SYSTEM})


def test_a_system_is_named_and_never_a_path(data: Known) -> None:
    for name in ("../other/model", "data/predictions/cell_crop/effb2_cell", "cell_crop"):
        with pytest.raises(ParamsError, match=r"recipe: labels\[0\]\.system"):
            build(data, {"kind": "pseudo", "system": name})


def test_labels_from_a_folder_that_the_stage_did_not_get_are_refused(data: Known) -> None:
    blind = Known(data.images, data.cells, {"masks": None, "predictions": None})
    with pytest.raises(ParamsError, match="need --predictions: add it to the stage's cmd"):
        build(blind, {"kind": "pseudo", "system": SYSTEM})


def test_hard_labels_are_drawn_as_often_as_the_soft_ones_say(tmp_path: Path) -> None:
    labels = CellLabels(pd.DataFrame({"image_id": "a", "cell_id": np.arange(4000)}))
    labels.put("pseudo", 3, np.arange(4000), 0.3)
    (source,) = read_sources({"kind": "draw", "seed": 1}, "recipe")
    source.apply(labels, known(tmp_path))
    assert set(labels.values[:, 3]) == {0, 1}
    assert labels.values[:, 3].mean() == pytest.approx(0.3, abs=0.03)
    assert np.isnan(labels.values[:, 4]).all()


def test_the_same_seed_draws_the_same_labels(data: Known) -> None:
    publish(data, SYSTEM, p_6=[0.5] * 4, p_7=[0.5] * 4, p_8=[0.5] * 4, p_9=[0.5] * 4)
    draws = [
        build(data, {"kind": "pseudo", "system": SYSTEM}, {"kind": "draw", "seed": seed}).values[:4, 6:10]
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_an_exclusive_class_clears_all_others_of_its_cells(data: Known) -> None:
    publish(data, SYSTEM, p_11=[0.2, 0.19, 0, 0])
    pseudo = {"kind": "pseudo", "system": SYSTEM, "classes": [11]}
    labels = build(data, "image", pseudo, {"kind": "exclusive", "classes": [11], "set_by": ["pseudo"]})
    assert column(labels, 6)[:4] == [0, 1, 1, 1]
    assert column(labels, 11)[:2] == pytest.approx([0.2, 0.19])
    untouched = build(data, "image", {"kind": "exclusive", "classes": [11], "set_by": ["pseudo"]})
    assert column(untouched, 6)[:2] == [1, 1]  # the value is not of that source


def test_grades_of_an_image_speak_for_its_sample(data: Known, tmp_path: Path) -> None:
    grade = {"kind": "samples", "file": str(tmp_path / "grades.csv"), "class_id": 6}
    (tmp_path / "grades.csv").write_text("ID,score\nb,3\nb,1\n")  # the last counts
    assert column(build(data, "image", grade), 6)[:4] == [0.51] * 4
    (tmp_path / "grades.csv").write_text("ID,score\nb,1\nb,3\nz,1\n")
    labels = build(data, "image", grade)
    assert column(labels, 6)[:4] == [1] * 4
    assert [table["image_id"].to_list() for table in labels.missed] == [["z"]]


def test_images_without_a_sample_stand_for_themselves(data: Known, tmp_path: Path) -> None:
    (tmp_path / "grades.csv").write_text("ID,score\nb,1\n")
    alone = Known(IMAGES.assign(sample_id=""), data.cells, data.folders)
    grade = {"kind": "samples", "file": str(tmp_path / "grades.csv"), "class_id": 6}
    assert column(build(alone, "image", grade), 6)[:4] == [1, 1, 0.51, 0.51]


def test_wrong_lists_of_sources_are_refused() -> None:
    for given, said in (
        ("images", "kind is 'images', expected one of image, scores"),
        ([], "labels is empty"),
        (None, "kind is None"),
        (["image", "image"], "several sources called image; give each a name"),
        ([{"kind": "exclusive", "clases": [1]}], r"labels\[0\].clases: unknown key; did you mean 'classes'"),
    ):
        with pytest.raises(ParamsError, match=said):
            read_sources(given, "recipe.yaml")


def test_the_example_builds_the_labels_of_system_b(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")
    monkeypatch.chdir(tmp_path)
    images = IMAGES.assign(labels=pd.Series([[0, 6, 11, 12], [6, 12], []], dtype=object))
    drawn = known(tmp_path, {"a": mask_of(1, 2), "b": mask_of(2, 1), "c": mask_of(1, 2)})
    data = Known(images, drawn.cells, drawn.folders)
    known(tmp_path / "data/source").folder("masks").rename(tmp_path / "data/source/scored_masks")
    wanted = {c: 5 for c in (1, 8, 9, 15)} | {12: 3, 11: 4}
    lines = [f"relabel,{class_id},a,0,{score if class_id != 8 else 3}" for class_id, score in wanted.items()]
    lines += ["relabel,11,b,0,2", "relabel,6,b,-1,1", "validation,7,b,1,3", "validation,12,b,0,4"]
    lines += [f"validation,{class_id},b,1,0" for class_id in (9, 10, 17)]
    (tmp_path / "data/source/scores.csv").write_text("\n".join(["source,class,ID,cell,score", *lines]))
    publish(
        data, SYSTEM, p_0=[0.9, 0.1, 0, 0], p_6=[0.5, 0.9, 0.2, 0.5], p_12=[0.9, 0.2, 0.9, 0.9], p_1=[1] * 4
    )
    labels = build_labels(read_sources(read_yaml(EXAMPLE)["labels"], str(EXAMPLE)), data.cells, data)
    assert column(labels, 11)[:4] == [0.65, 1, 0, 0.05]  # b's first scored cell is its cell 2 now
    assert column(labels, 0)[:4] == [0, 0.01, 0, 0]  # a1 is mitotic; the model does not see class 0 in a2
    assert column(labels, 6)[:4] == [0, 0.99, 0.01, 0.51]  # doubtful antibody, then automatic edits
    assert column(labels, 12)[:4] == [0, 0.01, 0.69, 1]  # exclusive; edited; ungraded; validation
    assert column(labels, 7)[:4] == [0, 0, 0.75, 0]
    assert missed_sources(labels) == set()


def missed_sources(labels: CellLabels) -> set[str]:
    return {str(source) for table in labels.missed for source in table["source"]}
