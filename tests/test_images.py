"""Pixels from files: what is read, and by which words everything else is refused."""

import io
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from common.classes import COLORS
from common.errors import DataError
from common.images import PLANES, Field, find_fields, id_fault, read_channel, read_image, to_uint8

GREY = np.add.outer(np.arange(0, 120, 5), np.arange(0, 120, 5)).astype(np.uint8)  # 24 x 24


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    return bytes(cv2.imencode(f".{kind}", pixels)[1].tobytes())


def tiff(*pages: np.ndarray) -> bytes:
    content = io.BytesIO()
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(content, "TIFF", save_all=True, append_images=others)
    return content.getvalue()


def in_planes(color: str) -> np.ndarray:
    """(24, 24, 3) BGR with ``GREY`` in the planes of a colour and nothing elsewhere."""
    pixels = np.zeros((*GREY.shape, 3), np.uint8)
    pixels[..., list(PLANES[color])] = GREY[..., None]
    return pixels


PNG = encoded(GREY, "png")
JPG = encoded(GREY, "jpg")


@pytest.mark.parametrize("kind", ["png", "tif", "tiff"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_lossless_file_is_read_to_the_last_bit(tmp_path: Path, kind: str, depth: type) -> None:
    pixels: np.ndarray = GREY.astype(depth) * (257 if depth is np.uint16 else 1)
    path = tmp_path / f"a_red.{kind}"
    path.write_bytes(encoded(pixels, kind))
    read = read_channel(path, "red")
    assert read.dtype == depth
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("color", COLORS)
def test_a_colour_jpg_gives_the_plane_of_its_colour(tmp_path: Path, color: str) -> None:
    path = tmp_path / f"a_{color}.jpg"
    path.write_bytes(encoded(in_planes(color), "jpg"))
    assert (
        np.abs(read_channel(path, color).astype(int) - GREY).max() < 25
    )  # jpg halves the colour's resolution


@pytest.mark.parametrize(("color", "other"), [("red", "blue"), ("blue", "green"), ("green", "yellow")])
def test_a_jpg_of_another_colour_is_refused(tmp_path: Path, color: str, other: str) -> None:
    path = tmp_path / f"a_{color}.jpg"
    path.write_bytes(encoded(in_planes(other), "jpg"))
    with pytest.raises(
        DataError, match=f"is no {color} channel .mean blue .*export one channel a file"
    ) as caught:
        read_channel(path, color)
    assert str(path) in str(caught.value)


BAD_FILES = {
    "truncated png": ("png", PNG[: len(PNG) // 2], "is truncated or damaged", "fetch or export"),
    "png without its end": ("png", PNG[:-13], "is truncated or damaged", "fetch or export"),
    "damaged png": ("png", PNG[:60] + b"?" + PNG[61:], "is truncated or damaged", "fetch or export"),
    "truncated jpg": ("jpg", JPG[: len(JPG) * 3 // 4], "is truncated or damaged", "fetch or export"),
    "truncated tiff": ("tif", tiff(GREY)[:300], "is truncated or damaged", "fetch or export"),
    "empty": ("png", b"", "is empty (0 bytes)", "fetch or export"),
    "html": ("png", b"\n<!doctype html><title>404</title>", "holds a web page (HTML)", "a download failed"),
    "no picture": ("png", b"ID,Label\n", "is no PNG, JPG or TIFF (it begins with b'ID,Label')", "fetch"),
    "colour": ("png", encoded(in_planes("red"), "png"), "in colour (3 planes)", "export it as grey"),
    "alpha": ("png", encoded(np.dstack([GREY] * 4), "png"), "in colour (4 planes)", "export it as grey"),
    "colour tiff": ("tif", tiff(np.dstack([GREY] * 3)), "in colour (3 planes)", "export it as grey"),
    "float": (
        "tif",
        tiff(GREY.astype(np.float32)),
        "pixels are float32, expected 8 or 16",
        "convert the file",
    ),
    "signed": ("tif", tiff(GREY.astype(np.int32)), "pixels are int32, expected 8 or 16", "convert the file"),
    "pages": ("tif", tiff(GREY, GREY, GREY), "holds 3 pages, expected one", "one channel a file"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_with_its_path_what_was_found_and_what_to_do(tmp_path: Path, name: str) -> None:
    extension, content, found, advice = BAD_FILES[name]
    path = tmp_path / f"a_red.{extension}"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_channel(path, "red")
    assert str(caught.value).startswith(f"{path}: ")
    assert found in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize("content", [PNG, JPG], ids=["png", "jpg"])
def test_no_beginning_of_a_file_passes_for_the_whole(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ("a_red.png" if content is PNG else "a_red.jpg")
    for length in range(len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError):
            read_channel(path, "red")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a_red.png").mkdir()
    (tmp_path / "a_blue.png").symlink_to(tmp_path / "gone.png")
    for color, reason in (("red", "Is a directory"), ("blue", "No such file")):
        with pytest.raises(DataError, match=f"a_{color}.png: cannot be read .{reason}.*check the file"):
            read_channel(tmp_path / f"a_{color}.png", color)


def test_channels_that_differ_in_size_or_depth_are_named(
    tmp_path: Path, write_image: Callable[..., Field]
) -> None:
    field = write_image(tmp_path, "a", np.stack([GREY] * 4))
    field.paths[2].write_bytes(encoded(GREY[:20], "png"))
    with pytest.raises(DataError, match=r"a: channels differ in shape: .*blue \(20, 24\).*export them alike"):
        read_image(field)
    field.paths[2].write_bytes(encoded(GREY.astype(np.uint16), "png"))
    with pytest.raises(DataError, match=r"a: channels differ in dtype: .*blue uint16.*export them alike"):
        read_image(field)


def test_an_image_has_its_channels_in_the_order_of_the_colours(
    tmp_path: Path, write_image: Callable[..., Field], draw_image: Callable[..., np.ndarray]
) -> None:
    image = draw_image(0)
    write_image(tmp_path, "b.2_x", image)
    write_image(tmp_path, "a_red", image[::-1])
    (tmp_path / "notes.txt").write_text("no picture")
    fields, faults = find_fields(tmp_path)
    assert faults == []
    assert [field.image_id for field in fields] == ["a_red", "b.2_x"]
    np.testing.assert_array_equal(read_image(fields[1]), image)


def test_missing_doubled_and_unsafe_images_are_listed_together(
    tmp_path: Path, write_image: Callable[..., Field]
) -> None:
    image = np.stack([GREY] * 4)
    for image_id in ("good", "lacking", "twice", "con", "ünï"):
        write_image(tmp_path, image_id, image)
    (tmp_path / "lacking_blue.png").unlink()
    (tmp_path / "twice_RED.tif").write_bytes(tiff(GREY))
    fields, faults = find_fields(tmp_path)
    assert [field.image_id for field in fields] == ["good"]
    assert "lacking: lacks the channel blue; add lacking_blue.png" in faults
    assert any(fault.startswith("twice: red is there 2 times (") and "keep one" in fault for fault in faults)
    assert sum("rename it" in fault for fault in faults) == 2
    assert len(faults) == 4


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image; expected files named <ID>_<color>"):
        find_fields(tmp_path)
    with pytest.raises(DataError, match="gone: no such folder"):
        find_fields(tmp_path / "gone")


@pytest.mark.parametrize(
    "image_id",
    [
        *("", ".", "..", "../x", "a/b", "/etc", "a\\b", "C:x", "a\0b", "é", "a b", "a\n", "a..b"),
        *("CON", "nul.txt", "Com1", ".a", "-a", "x" * 101, "x" * 300),
    ],
)
def test_an_unsafe_id_is_refused(image_id: str) -> None:
    fault = id_fault(image_id)
    assert fault is not None
    assert "rename it" in fault
    assert len(fault) < 400


@given(st.text(max_size=120) | st.text("aC.on1_-/\\:\0 é", max_size=8) | st.from_regex(r"[A-Za-z0-9._-]+"))
def test_an_accepted_id_is_a_plain_name_inside_its_folder(image_id: str) -> None:
    if id_fault(image_id) is None:
        root = Path("/data/pixels")
        assert (root / image_id).resolve().parent == root
        assert PureWindowsPath(image_id).name == image_id
        assert not PureWindowsPath(image_id).is_reserved()
        assert image_id.isascii()


def test_sixteen_bit_is_brought_to_eight_by_dividing_by_257() -> None:
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(to_uint8(values), np.rint(values / 257))
    np.testing.assert_array_equal(to_uint8(GREY), GREY)


def test_the_competitions_fields_are_read(shared: Path) -> None:
    fields, faults = find_fields(shared / "data/fields")
    assert faults == []
    assert len(fields) == 5
    for field in fields:
        image = read_image(field)
        assert image.dtype == np.uint8
        assert image.shape in {(4, side, side) for side in (2048, 3072)}
        assert (image.max(axis=(1, 2)) > 60).all()


def test_the_public_sites_jpg_field_is_read_by_its_colours(shared: Path) -> None:
    folder = shared / "data/public_fields"
    (field,), faults = find_fields(folder)
    image = read_image(field)
    assert faults == []
    assert image.shape[0] == 4
    for channel, path, color in zip(image, field.paths, COLORS, strict=True):
        planes = np.asarray(Image.open(path).convert("RGB"), int)
        own = {"red": 0, "green": 1, "blue": 2, "yellow": 0}[color]
        assert np.abs(planes[..., own] - channel).mean() < 1  # two decoders
        assert channel.mean() > 1
    wrong = folder / f"{field.image_id}_blue.jpg"
    with pytest.raises(DataError, match="is no green channel"):
        read_channel(wrong, "green")
