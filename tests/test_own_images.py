"""Images of one's own, by pattern and declared channels, become the house's files to the last bit."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from common.classes import CHANNELS, COLORS
from common.errors import DataError, ParamsError
from common.images import Field, find_fields, read_image
from common.own_images import OwnParams, declared, house_folder
from common.params import build
from common.sources import ImagesParams, collect
from tests.own_folders import read_all

Draw = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


def test_a_folder_in_the_houses_shape_is_taken_as_it_is(tmp_path: Path) -> None:
    with house_folder(tmp_path, OwnParams()) as house:
        assert house == tmp_path
    with house_folder(tmp_path, declared("", "")) as house:
        assert house == tmp_path


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_channel_files_are_found_by_their_words(tmp_path: Path, draw_image: Draw, depth: type) -> None:
    image: np.ndarray = draw_image(0).astype(depth) * (201 if depth is np.uint16 else 1)
    words = {"microtubules": "ch[1]", "protein": "GFP", "nucleus": "DAPI", "reticulum": "GFP2"}
    (tmp_path / "plate 1").mkdir()
    for word, plane in zip(words.values(), image, strict=True):
        cv2.imwrite(str(tmp_path / f"plate 1/x[1].{word}_well-A1.tif"), plane)
    (tmp_path / "plate 1/x[1].BRIGHT_well-A1.tif").write_bytes(b"is no channel of ours")
    own = declared("plate */x[1].{channel}_well-{id}.tif", ",".join(f"{c}={w}" for c, w in words.items()))
    images = read_all(tmp_path, own)
    assert list(images) == ["A1"]
    assert images["A1"].dtype == depth
    np.testing.assert_array_equal(images["A1"], image)


def test_stars_may_stand_beside_what_is_named(tmp_path: Path, draw_image: Draw) -> None:
    for color, plane in zip(COLORS, draw_image(0), strict=True):
        cv2.imwrite(str(tmp_path / f"run7-A01{color}-2021.png"), plane)
    images = read_all(tmp_path, declared("**-{id}{channel}*.png", ""))
    np.testing.assert_array_equal(images["A01"], draw_image(0))


def test_files_that_are_no_pictures_are_passed_over(tmp_path: Path, draw_image: Draw) -> None:
    for color in COLORS:
        cv2.imwrite(str(tmp_path / f"a-{color}.png"), draw_image(0)[0])
    (tmp_path / "a-red.txt").write_text("notes")
    (tmp_path / "._a-red.png").write_bytes(b"what macOS leaves on foreign disks")
    assert list(read_all(tmp_path, declared("{id}-{channel}.*", ""))) == ["a"]


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_channel_declared_absent_is_a_plane_of_zeros_and_said_once(
    tmp_path: Path, draw_image: Draw, depth: type, capsys: pytest.CaptureFixture[str]
) -> None:
    for image_id in "ab":
        for color, plane in list(zip(COLORS, draw_image(5).astype(depth), strict=True))[1:3]:
            cv2.imwrite(str(tmp_path / f"{image_id}_{color}.png"), plane)
    own = declared("", "protein=green,nucleus=blue,microtubules=absent,reticulum=absent")
    images = read_all(tmp_path, own)
    assert set(images) == {"a", "b"}
    for image in images.values():
        assert image.dtype == depth
        assert not image[[0, 3]].any()
        np.testing.assert_array_equal(image[1:3], draw_image(5)[1:3])
    said = capsys.readouterr().err
    assert said.startswith(
        "microtubules, reticulum: declared absent, planes of zeros stand for it; without both"
    )
    assert said.count("\n") == 1


def test_missing_doubled_and_unsafe_images_are_listed_together(tmp_path: Path, draw_image: Draw) -> None:
    for image_id in ("good", "lacking", "twice", "no good"):
        for color in COLORS:
            cv2.imwrite(str(tmp_path / f"{image_id}-{color}.png"), draw_image(0)[0])
    (tmp_path / "lacking-blue.png").unlink()
    cv2.imwrite(str(tmp_path / "twice-red.tif"), draw_image(0)[0])
    with pytest.raises(DataError, match="3 faults") as caught:
        read_all(tmp_path, declared("{id}-{channel}.*", ""))
    for expected in (
        "lacking: lacks the channel nucleus (blue); add it, or declare it absent",
        "twice: microtubules is there 2 times (twice-red.png, twice-red.tif); narrow the pattern",
        "id 'no good': expected",
    ):
        assert expected in str(caught.value)
    assert "good:" not in str(caught.value).replace("no good", "")


def test_channels_of_different_size_are_named(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    field = write_image(tmp_path / "own", "a", draw_image(0))
    cv2.imwrite(str(field.paths[2]), draw_image(0)[2, :20])
    params = images_params(tmp_path / "own", {"pattern": "{id}_{channel}.png"})
    with pytest.raises(DataError, match=r"a: channels differ in shape: .*blue \(20, 32\)"):
        collect(params, tmp_path / "images", tmp_path / "truth")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pattern": "x.tif"}, "pattern: .*expected one {id}"),
        ({"pattern": "{id}_{id}.tif"}, "pattern: .*expected one {id}"),
        ({"pattern": "{id}_{color}.tif"}, "pattern: .*at most one {channel}"),
        ({"pattern": "../{id}.tif"}, "pattern: .*below the folder"),
        ({"pattern": "/{id}.tif"}, "pattern: .*below the folder"),
        (
            {"channels": ["protein", "nucleus"]},
            "channels: .*write one that was not recorded as reticulum=absent",
        ),
        ({"channels": [*CHANNELS, "nucleus"]}, "channels: .*expected each of .* once"),
        ({"channels": ["microtubules", "protein", "nuclei", "reticulum"]}, "channels: .*expected each of"),
        (
            {"channels": ["microtubules=a", "protein=b", "nucleus=absent", "reticulum=c"]},
            "nucleus is absent; cells are found by nucleus",
        ),
        ({"channels": list(CHANNELS)}, "channels lacks words for {channel}"),
        ({"channels": [f"{c}=same" for c in CHANNELS]}, "each its own like nucleus=DAPI"),
        ({"patern": "{id}.tif"}, "patern: unknown key; did you mean 'pattern'"),
    ],
)
def test_wrong_declarations_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ParamsError, match=said.replace("{", r"\{")):
        build(OwnParams, given, "params.yaml: images.own")


def test_nothing_that_fits_is_an_error_with_the_pattern(tmp_path: Path) -> None:
    (tmp_path / "a_red.png.txt").write_text("")
    with pytest.raises(DataError, match=r"holds no file like \{id\}-\{channel\}.* with red, green"):
        read_all(tmp_path, declared("{id}-{channel}.*", ""))
    with pytest.raises(DataError, match="gone: no such folder"):
        read_all(tmp_path / "gone", declared("{id}.tif", ""))


def images_params(folder: Path, own: dict[str, object]) -> ImagesParams:
    simulate = {"fields": 1, "test_fields": 0, "seed": 0}
    given = {"source": "folder", "folder": str(folder), "simulate": simulate, "own": own}
    return build(ImagesParams, given, "params.yaml: images")


def test_the_images_stage_converts_once_and_leaves_the_source_alone(tmp_path: Path, draw_image: Draw) -> None:
    (tmp_path / "own").mkdir()
    tifffile.imwrite(tmp_path / "own/a.tif", draw_image(0), photometric="minisblack")
    before = (tmp_path / "own/a.tif").read_bytes()
    params = images_params(tmp_path / "own", {"pattern": "{id}.tif"})
    table = collect(params, tmp_path / "images", tmp_path / "truth")
    assert list(table["red"]) == ["pixels/a_red.png"]
    assert {path.name for path in (tmp_path / "images").iterdir()} == {"images.parquet", "pixels"}
    assert {path.name for path in (tmp_path / "images/pixels").iterdir()} == {f"a_{c}.png" for c in COLORS}
    assert (tmp_path / "own/a.tif").read_bytes() == before
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["a.tif"]


def test_the_real_fields_are_the_same_through_a_pattern(shared: Path) -> None:
    folder = shared / "data/fields"
    fields, _ = find_fields(folder)
    own = declared("{id}_{channel}.png", "")
    images = read_all(folder, own)
    assert list(images) == [field.image_id for field in fields]
    np.testing.assert_array_equal(images[fields[0].image_id], read_image(fields[0]))


def test_the_public_sites_jpg_field_is_read_through_a_pattern(shared: Path) -> None:
    folder = shared / "data/public_fields"
    own = declared("89_{id}_{channel}.jpg", "")
    ((image_id, image),) = read_all(folder, own).items()
    assert image_id == "B5_1"
    np.testing.assert_array_equal(image, read_image(find_fields(folder)[0][0]))
