"""The atlas's metadata table: names to classes, filters, and every fault of a row at once."""

import csv
from pathlib import Path

import pytest

from common.classes import CLASSES
from common.errors import DataError, ParamsError
from common.params import build
from common.public_table import (
    COMPETITION_LINES,
    PublicImage,
    PublicParams,
    choose_images,
    rarity,
    read_public_table,
)

Row = tuple[str, str, str, str]


def write_table(folder: Path, *rows: Row) -> Path:
    path = folder / "kaggle_2021.tsv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("Image", "Label", "Cellline", "in_trainset"), *rows])
    return path


def row(image_id: str, label: str = "Nucleoli", line: str = "U-2 OS", in_trainset: str = "False") -> Row:
    return (f"http://atlas.example/123/{image_id}", label, line, in_trainset)


def choose(folder: Path, *rows: Row, **params: object) -> tuple[dict[str, PublicImage], str]:
    path = write_table(folder, *rows)
    images, said = choose_images(read_public_table(path), PublicParams.model_validate(params), path)
    return {image.image_id: image for image in images}, "\n".join(said)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ("Nucleoplasm", (0,)),
        ("Cytosol,Nucleoplasm", (0, 16)),
        ("Focal adhesion sites", (9,)),
        ("Centriolar satellite,Centrosome", (12,)),
        ("Cell Junctions", (13,)),
        ("Cell junctions, Plasma membrane", (13,)),
        ("Vesicles,Peroxisomes,Endosomes,Lysosomes,Lipid droplets,Cytoplasmic bodies", (17,)),
        ("No staining", (18,)),
        ("Midbody,Mitotic spindle", (11,)),
    ],
)
def test_names_of_the_atlas_become_classes(tmp_path: Path, names: str, labels: tuple[int, ...]) -> None:
    images, _ = choose(tmp_path, row("1_A1_1", names))
    assert images["1_A1_1"].labels == labels


def test_every_class_but_the_two_of_other_names_keeps_its_name(tmp_path: Path) -> None:
    images, said = choose(tmp_path, *(row(f"i{i}", name) for i, name in enumerate(CLASSES[:17])))
    assert [images[f"i{i}"].labels for i in range(17)] == [(i,) for i in range(17)]
    assert "none of the 19" not in said


def test_an_image_has_address_antibody_and_line(tmp_path: Path) -> None:
    images, _ = choose(tmp_path, row("56_F11_1"))
    url = "http://atlas.example/123/56_F11_1"
    assert images == {"56_F11_1": PublicImage("56_F11_1", url, "123", "U-2 OS", (2,))}


def test_unmapped_names_are_listed_and_images_without_another_dropped_and_counted(tmp_path: Path) -> None:
    images, said = choose(
        tmp_path,
        row("a", "Rods & Rings"),
        row("b", "Rods & Rings,Cytosol"),
        row("c", "Midbody"),
        row("d", ""),
        row("e", "Kinetochore", in_trainset="True"),
    )
    assert set(images) == {"b"}
    assert images["b"].labels == (16,)
    assert "none of the 19 classes (images): Rods & Rings 2, Midbody 1" in said
    assert "3 images dropped, which have no other label" in said


def test_images_of_the_competition_are_left_out(tmp_path: Path) -> None:
    images, said = choose(tmp_path, row("a"), row("b", in_trainset="True"), row("c", in_trainset="TRUE"))
    assert set(images) == {"a"}
    assert "3 rows, 2 of them in the competition's training set" in said


def test_lines_are_those_of_the_competition_and_rare_classes_come_from_any(tmp_path: Path) -> None:
    rows = (
        row("a"),
        row("b", line="MCF7"),
        row("c", "Aggresome", line="MCF7"),
        row("d", "Mitotic spindle,Nucleoplasm", line="AF22"),
    )
    images, said = choose(tmp_path, *rows)
    assert set(images) == {"a", "c", "d"}
    assert "1 images of other cell lines or rarities left out, 3 wanted" in said
    assert set(choose(tmp_path, *rows, keep_rare=())[0]) == {"a"}
    images, said = choose(tmp_path, *rows, cell_lines=("MCF7", "HEK293"), keep_rare=())
    assert set(images) == {"b", "c"}
    assert "cell lines without any image in the table: HEK293" in said
    assert set(choose(tmp_path, *rows, cell_lines=())[0]) == {"a", "b", "c", "d"}


def test_rarity_by_hand(tmp_path: Path) -> None:
    assert [rarity(ids) for ids in ((0,), (16,), (0, 16), (0, 5), (5,), (5, 18))] == [
        *("only", "only", "multi", "multi", "rare", "rare")
    ]
    rows = (row("a", "Cytosol"), row("b", "Cytosol,Nucleoli"), row("c", "Nucleoli"))
    for kept, ids in ((("rare",), {"c"}), (("only",), {"a"}), (("rare", "multi"), {"b", "c"})):
        assert set(choose(tmp_path, *rows, rarity=kept)[0]) == ids


def test_more_images_add_to_fewer_whatever_the_order_of_the_table(tmp_path: Path) -> None:
    rows = [row(f"{plate}_A1_1") for plate in range(60)]
    few = set(choose(tmp_path, *rows, max_images=10)[0])
    many = set(choose(tmp_path, *reversed(rows), max_images=30)[0])
    assert (len(few), len(many)) == (10, 30)
    assert few < many
    assert max(int(i.split("_")[0]) for i in few) > 30, "they are spread over the table"


def test_a_row_that_repeats_another_is_taken_once(tmp_path: Path) -> None:
    images, said = choose(tmp_path, row("a"), row("b"), row("a"))
    assert list(images) == ["a", "b"]
    assert "3 rows, 0 of them in the competition's training set and 1 that repeat another" in said


def test_all_faults_of_wanted_rows_are_listed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="4 faults; mend these rows") as caught:
        choose(
            tmp_path,
            row("good"),
            ("ftp://atlas.example/1/x", "Nucleoli", "U-2 OS", "False"),
            row("a b"),
            row("..x"),
            row("good", "Cytosol"),
            ("nowhere", "Nucleoli", "no such line", "False"),  # is not wanted
        )
    for expected in (
        "row 3: Image is 'ftp://atlas.example/1/x', expected an address",
        "row 4: Image is 'http://atlas.example/123/a b'",
        "row 5: id '..x'",
        "row 6: id good is there twice",
    ):
        assert expected in str(caught.value)


def test_a_choice_of_nothing_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no image is left: 1 rows, 0 .*widen images.public_hpa"):
        choose(tmp_path, row("a", line="MCF7"))


def test_a_table_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    with pytest.raises(DataError, match=r"no such table; fetch kaggle_2021.tsv from kaggle.com"):
        read_public_table(path)
    path.write_text("Image\tLabel\tCellline\tin_trainset\na\tb\tc\tFalse\n")
    with pytest.raises(DataError, match=r"lacks the columns Image.*separated by tabs, save it with commas"):
        read_public_table(path)
    path.write_text("Image,Label\na,b\n")
    with pytest.raises(DataError, match=r"lacks the columns Cellline, in_trainset$"):
        read_public_table(path)
    for content in (b"", b"\xff\xfeI\0m\0", b'Image,Label\n"a,b\n'):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"is no comma separated UTF-8|lacks the columns"):
            read_public_table(path)
    write_table(tmp_path, row("a"), row("b", in_trainset="0"), row("c", in_trainset=""))
    with pytest.raises(DataError, match="2 faults; expected True or False") as caught:
        read_public_table(tmp_path / "kaggle_2021.tsv")
    assert "row 3: in_trainset is '0'" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"keep_rare": [11, 19]}, "keep_rare: 19 is no class id"),
        ({"form": "png"}, "form: "),
        ({"requests_per_second": 0}, "requests_per_second: "),
        ({"rarity": ["common"]}, "rarity.0: "),
        ({"max_image": 5}, "max_image: unknown key; did you mean 'max_images'"),
    ],
)
def test_wrong_parameters_are_refused_by_name(given: dict[str, object], said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        build(PublicParams, given, "params.yaml: images.public_hpa")


def test_the_real_images_have_the_lines_and_classes_that_are_assumed(shared: Path) -> None:
    import pandas as pd

    real = pd.read_csv(shared / "data/labels/hpa_public_images.csv.gz", dtype=str)
    assert set(COMPETITION_LINES) <= set(real["Cellline"])
    ids = [tuple(int(i) for i in label.split("|")) for label in real["Label"]]
    shares = pd.Series([rarity(i) for i in ids]).value_counts(normalize=True)
    assert shares["only"] == pytest.approx(((real["Label"] == "0") | (real["Label"] == "16")).mean())
    assert shares["rare"] + shares["multi"] + shares["only"] == pytest.approx(1)
    assert real["ID"].is_unique
