"""Stacks of one's own, of many kinds of file: read to the last bit, or refused by name."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.classes import CHANNELS
from common.errors import DataError
from common.own_images import declared
from tests.own_folders import read_all

Draw = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


STACKS: dict[str, Callable[[Path, np.ndarray], object]] = {
    "pages": lambda path, image: tifffile.imwrite(path, image, photometric="minisblack"),
    "zlib pages": lambda path, image: tifffile.imwrite(
        path, image, photometric="minisblack", compression="zlib"
    ),
    "LZW pages": lambda path, image: cv2.imwritemulti(
        str(path), list(image), [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW]
    ),
    "ImageJ": lambda path, image: tifffile.imwrite(path, image, imagej=True, metadata={"axes": "CYX"}),
    "OME": lambda path, image: tifffile.imwrite(path, image, ome=True, metadata={"axes": "CYX"}),
    "samples": lambda path, image: tifffile.imwrite(
        path, np.moveaxis(image, 0, -1), photometric="minisblack", planarconfig="contig"
    ),
    "separate samples": lambda path, image: tifffile.imwrite(
        path, image, photometric="minisblack", planarconfig="separate"
    ),
    "big endian": lambda path, image: tifffile.imwrite(path, image, photometric="minisblack", byteorder=">"),
    "BigTIFF": lambda path, image: tifffile.imwrite(path, image, photometric="minisblack", bigtiff=True),
    "PNG": lambda path, image: path.write_bytes(
        cv2.imencode(".png", np.moveaxis(image[[2, 1, 0, 3]], 0, -1))[1].tobytes()
    ),
}


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", STACKS)
def test_a_stack_is_read_to_the_last_bit(tmp_path: Path, draw_image: Draw, kind: str, depth: type) -> None:
    image: np.ndarray = draw_image(1).astype(depth) * (250 if depth is np.uint16 else 1)
    STACKS[kind](tmp_path / "a.tif", image)
    images = read_all(tmp_path, declared("{id}.tif", ",".join(CHANNELS)))
    assert images["a"].dtype == depth
    np.testing.assert_array_equal(images["a"], image)


def test_the_order_of_a_stack_is_the_declared_one(tmp_path: Path, draw_image: Draw) -> None:
    image = draw_image(2)
    tifffile.imwrite(tmp_path / "a.tif", np.stack([image[3], image[2], 255 - image[0], image[1]]))
    own = declared("{id}.*", "reticulum, nucleus, unused, protein, microtubules=absent")
    read = read_all(tmp_path, own)["a"]
    np.testing.assert_array_equal(read[1:], image[1:])
    assert not read[0].any()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([*CHANNELS, "unused"]))
def test_any_order_of_a_stack_gives_the_same_image(
    tmp_path: Path, draw_image: Draw, order: list[str]
) -> None:
    planes = dict(zip((*CHANNELS, "unused"), (*draw_image(3), draw_image(4)[0]), strict=True))
    tifffile.imwrite(tmp_path / "a.tif", np.stack([planes[c] for c in order]), photometric="minisblack")
    np.testing.assert_array_equal(
        read_all(tmp_path, declared("{id}.tif", ",".join(order)))["a"], draw_image(3)
    )


def test_two_stacks_of_one_id_are_one_fault(tmp_path: Path, draw_image: Draw) -> None:
    for name in ("a.tif", "a.tiff"):
        tifffile.imwrite(tmp_path / name, draw_image(0), photometric="minisblack")
    with pytest.raises(DataError, match=r"1 fault;.*\n  a: it is there 2 times \(a.tif, a.tiff\)"):
        read_all(tmp_path, declared("{id}.*", ""))


def test_all_unusable_stacks_are_listed_at_once(tmp_path: Path, draw_image: Draw) -> None:
    image = draw_image(0)
    write = {
        "good": image,
        "three": image[:3],
        "one": image[0],
        "volume": np.stack([image] * 5),
        "float": image.astype(np.float32),
        "signed": image.astype(np.int16),
    }
    for name, pixels in write.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels, photometric="minisblack")
    content = (tmp_path / "good.tif").read_bytes()
    (tmp_path / "half.tif").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "html.tif").write_text("<html>not found</html>")
    (tmp_path / "photo.tif").write_bytes(cv2.imencode(".jpg", np.dstack([image[0]] * 3))[1].tobytes())
    with pytest.raises(DataError, match="9 faults; mend or remove these images") as caught:
        read_all(tmp_path, declared("{id}.tif", ""))
    for expected in (
        "three.tif: holds 3 x 32 x 32 (planes x height x width), expected 4 planes",
        "one.tif: holds 1 x 32 x 32",
        "volume.tif: holds 20 x 32 x 32",
        "project a z stack first",
        "float.tif: pixels are float32, expected 8 or 16 bit",
        "signed.tif: pixels are int16",
        "half.tif: ",
        "empty.tif: is empty (0 bytes)",
        "html.tif: holds a web page",
        "photo.tif: is a JPG, which mixes its channels",
    ):
        assert expected in str(caught.value)


def test_no_beginning_of_a_stack_passes_for_another_picture(tmp_path: Path, draw_image: Draw) -> None:
    image = draw_image(0)
    for kind, write in STACKS.items():
        write(tmp_path / "a.tif", image)
        content = (tmp_path / "a.tif").read_bytes()
        for length in range(0, len(content), 97):
            (tmp_path / "a.tif").write_bytes(content[:length])
            try:
                read = read_all(tmp_path, declared("{id}.tif", ""))["a"]
            except DataError:
                continue
            np.testing.assert_array_equal(read, image, err_msg=f"{kind}, {length} bytes")


def test_a_header_without_rows_is_damage(tmp_path: Path, draw_image: Draw) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, draw_image(0), metadata=None, photometric="minisblack", planarconfig="separate")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags["ImageLength"].overwrite(0)
    with pytest.raises(DataError, match=r"a.tif: is truncated or damaged"):
        read_all(tmp_path, declared("{id}.tif", ""))
