"""A competition folder: what its tables say, and all that is wrong with them at once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.classes import CLASSES, NEGATIVE
from common.competition import read_competition
from common.errors import DataError, fail_together
from common.images import Field

GOOD = "ID,Label\na1,0|2\na2,0|2\nb1,16|5\n"


def faults_of(folder: Path, train: str | bytes) -> list[str]:
    content = train if isinstance(train, bytes) else train.encode()
    (folder / "train.csv").write_bytes(content)
    return read_competition(folder).faults


def test_a_sound_folder_is_read_in_full(competition_folder: Path) -> None:
    competition = read_competition(competition_folder)
    assert competition.faults == []
    assert [field.image_id for field in competition.train] == ["a1", "a2", "b1"]
    assert [field.image_id for field in competition.test] == ["c1"]
    assert competition.labels == {"a1": (0, 2), "a2": (0, 2), "b1": (5, 16)}
    assert competition.samples == {"a1": ("A", "U-2 OS"), "a2": ("A", "U-2 OS"), "c1": ("C", "HeLa")}
    assert competition.truth == {
        ("a1", 1): (0, 2),
        ("a1", 2): (NEGATIVE,),
        ("c1", 1): (13,),
        ("c1", 3): (4, 9),
    }
    assert [(true.field.image_id, true.cells) for true in competition.true_fields()] == [
        ("a1", {1, 2}),
        ("c1", {1, 3}),
    ]


def test_images_may_lie_beside_train_csv(
    tmp_path: Path, write_image: Callable[..., Field], draw_image: Callable[..., np.ndarray]
) -> None:
    write_image(tmp_path, "a1", draw_image(0))
    (tmp_path / "train.csv").write_text("ID,Label\na1,3\n")
    competition = read_competition(tmp_path)
    assert (competition.faults, competition.labels, competition.truth) == ([], {"a1": (3,)}, {})


@pytest.mark.parametrize(
    ("train", "fault"),
    [
        (GOOD + "a2,1\n", "train.csv row 5: id a2 is there twice; keep one row"),
        (
            GOOD.replace("16|5", "19"),
            "train.csv row 4: label '19': '19' is not a class id (0 to 18); expected ids",
        ),
        (GOOD.replace("16|5", "x"), "train.csv row 4: label 'x': 'x' is not a class id"),
        (GOOD.replace("16|5", "9|"), "train.csv row 4: label '9|': '' is not a class id"),
        (GOOD.replace("16|5", ""), "train.csv row 4: label '': '' is not a class id"),
        (
            b"\xef\xbb\xbf" + GOOD.encode(),
            "train.csv: begins with a byte order mark; save it as UTF-8 without BOM",
        ),
        (GOOD.replace("\n", "\r\n"), "train.csv: has Windows line ends (CRLF); save it with LF"),
        (GOOD.replace(",", ";"), "row 1: header is 'ID;Label', expected 'ID,Label'; it is separated by ';'"),
        (GOOD.encode("utf-16"), "train.csv: is no UTF-8 CSV ("),
        (b"", "train.csv row 1: header is 'nothing', expected 'ID,Label'"),
        ("ID\na1\n", "train.csv row 1: header is 'ID', expected 'ID,Label'"),
        ("ID,Label,Note\na1,0,x\n", "train.csv row 1: header is 'ID,Label,Note', expected 'ID,Label'"),
        ("ID,Label\n", "train.csv: holds no row below its header"),
        (GOOD.replace("16|5", "16,5"), "train.csv row 4: has 3 values, expected 2"),
        (GOOD + "../evil,1\n", "train.csv row 5: id '../evil': expected up to 100 of the characters"),
        (GOOD + "/etc/passwd,1\n", "train.csv row 5: id '/etc/passwd': expected"),
        (GOOD + "a\0b,1\n", "train.csv row 5: id 'a\\x00b': expected"),
        (GOOD + "CON,1\n", "train.csv row 5: id 'CON': expected"),
        (GOOD + "x" * 300 + ",1\n", f"train.csv row 5: id '{'x' * 120}': expected"),
        (GOOD + "zelle-ß,1\n", "train.csv row 5: id 'zelle-ß': expected"),
        (GOOD + "gone,1\n", "train.csv: gone has no complete set of channels in the folder"),
        (GOOD.replace("b1,16|5\n", ""), "b1: has no row in train.csv; add one, or move the image to test/"),
        (GOOD.replace("16|5", "1" * 5000), "train.csv row 4: label '1111"),
    ],
)
def test_a_fault_of_the_label_table_is_told_with_its_row(
    competition_folder: Path, train: str | bytes, fault: str
) -> None:
    assert any(fault in found for found in faults_of(competition_folder, train))


def test_several_faults_are_listed_together(competition_folder: Path) -> None:
    (competition_folder / "train/a2_green.png").unlink()
    (competition_folder / "test/c1_red.png").rename(competition_folder / "test/b1_red.png")
    with open(competition_folder / "truth.csv", "a") as file:
        file.write("a1,zero,3\na1,1,3\na1,4,77\nghost,1,3\n")
    faults = "\n".join(faults_of(competition_folder, "ID,Label\na1,0|2\na1,2\nb1,x\n"))
    for expected in (
        "train.csv row 3: id a1 is there twice",
        "train.csv row 4: label 'x'",
        "a2: lacks the channel green; add a2_green.png",
        "b1: lacks the channel green, blue, yellow",
        "c1: lacks the channel red",
        "truth.csv row 6: cell_id is 'zero', expected a whole number from 1",
        "truth.csv row 7: a1 cell 1 is there twice",
        "truth.csv row 8: label '77'",
        "truth.csv: ghost is no image of this folder",
    ):
        assert expected in faults


@pytest.mark.parametrize("cell", ["0", "-1", "1.5", "", "²", "9" * 5000])
def test_a_cell_id_must_be_a_whole_number_from_1(competition_folder: Path, cell: str) -> None:
    with open(competition_folder / "truth.csv", "a") as file:
        file.write(f"a1,{cell},3\n")
    assert any(
        "truth.csv row 6: cell_id is" in fault for fault in read_competition(competition_folder).faults
    )


def test_an_image_of_both_parts_is_named(
    competition_folder: Path, write_image: Callable[..., Field], draw_image: Callable[..., np.ndarray]
) -> None:
    write_image(competition_folder / "test", "a1", draw_image(9))
    assert (
        "a1: is in both the train and the test part; keep one" in read_competition(competition_folder).faults
    )


def test_a_folder_without_train_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no train.csv; expected a competition folder"):
        read_competition(tmp_path)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # every example writes the table anew
@given(
    st.binary(max_size=60)
    | st.lists(st.text('a1|,;"\n\r\0é²', max_size=12)).map(lambda t: "\n".join(t).encode())
)
def test_no_content_of_a_table_crashes_the_reader(competition_folder: Path, content: bytes) -> None:
    assert faults_of(competition_folder, content)
    (competition_folder / "truth.csv").write_bytes(b"ID,cell_id,Label\n" + content)
    for fault in faults_of(competition_folder, b"ID,Label\n" + content):
        assert isinstance(fault, str)
    (competition_folder / "truth.csv").unlink()


def test_a_long_list_of_faults_is_cut_and_counted() -> None:
    with pytest.raises(DataError) as caught:
        fail_together([f"fault {number}" for number in range(25)], "here", "mend them")
    lines = str(caught.value).splitlines()
    assert lines[0] == "here: 25 faults; mend them"
    assert lines[20:] == ["  fault 19", "  ... and 5 more"]
    fail_together([], "here", "mend them")


def test_the_competitions_own_folder_has_no_fault(shared: Path) -> None:
    competition = read_competition(shared / "data/fields")
    assert competition.faults == []
    assert len(competition.train) == len(competition.labels) == 5
    assert competition.labels["5c27f04c-bb99-11e8-b2b9-ac1f6b6435d0"] == (0, 5, 8)
    assert competition.labels["000a6c98-bb9b-11e8-b2b9-ac1f6b6435d0"] == (0, 1, 2, 7)


def test_the_competitions_whole_table_has_unique_safe_ids_and_known_labels(
    shared: Path, competition_folder: Path
) -> None:
    faults = faults_of(competition_folder, (shared / "data/labels/kaggle2021_train.csv").read_bytes())
    assert not [fault for fault in faults if "row" in fault and "has no row" not in fault]
    labels = read_competition(competition_folder).labels
    assert len(labels) == 21_806
    assert sum(map(len, labels.values())) == 35_723
    assert {class_id for ids in labels.values() for class_id in ids} == set(range(len(CLASSES)))


def test_samples_that_are_twice_or_of_no_image_are_named(competition_folder: Path) -> None:
    with (competition_folder / "samples.csv").open("a") as file:
        file.write("a1,B,HeLa\nz9,Z,HeLa\n")
    faults = read_competition(competition_folder).faults
    assert any("samples.csv row 5: id a1 is there twice" in fault for fault in faults)
    assert any("samples.csv: z9 is no image of this folder" in fault for fault in faults)
