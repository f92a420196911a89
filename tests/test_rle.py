"""Mask texts are those of pycocotools, byte for byte, and nonsense is refused."""

import base64
import zlib

import numpy as np
import pytest
from pycocotools import mask as coco

from common.errors import DataError
from common.rle import decode_text, encode_mask_map, to_mask


def reference_text(mask: np.ndarray) -> str:
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    return base64.b64encode(zlib.compress(counts, 9)).decode()


def text_of(counts: bytes) -> str:
    return base64.b64encode(zlib.compress(counts, 9)).decode()


def random_map(rng: np.random.Generator) -> np.ndarray:
    """A label map of noise, blocks or stripes, with holes in its numbering, up to 60 px."""
    height, width = rng.integers(1, 60, 2)
    if rng.random() < 0.3:
        return rng.choice([0, 1, 2, 7], (height, width)).astype(np.uint16)
    mask = np.zeros((height, width), dtype=np.uint16)
    for cell in rng.choice(np.arange(1, 60000), rng.integers(0, 6), replace=False):
        y, x = rng.integers(0, height), rng.integers(0, width)
        mask[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = cell
    return mask


def test_a_mask_by_hand() -> None:
    mask = np.array([[0, 1, 0], [0, 1, 1]], dtype=np.uint16)
    # Columns top to bottom: 00 11 01, that is 2 off, 2 on, 1 off, 1 on (written as 1 - 2 = -1).
    assert zlib.decompress(base64.b64decode(encode_mask_map(mask)[1])) == b"221O"


def test_a_thousand_random_cells_equal_pycocotools_and_come_back() -> None:
    rng = np.random.default_rng(0)
    cells = 0
    while cells < 1000:
        mask = random_map(rng)
        texts = encode_mask_map(mask)
        assert list(texts) == [cell for cell in np.unique(mask).tolist() if cell]
        for cell, text in texts.items():
            assert text == reference_text(mask == cell)
            np.testing.assert_array_equal(to_mask(text, *mask.shape), mask == cell)
        cells += len(texts)


def test_long_runs_of_a_full_size_image_equal_pycocotools() -> None:
    mask = np.zeros((3072, 3072), dtype=np.uint16)
    mask[3071, 3071] = 1
    mask[0, 0] = 2
    mask[:, 1000:2500] = 3
    mask[10:3000, 2600] = 4
    assert encode_mask_map(mask) == {cell: reference_text(mask == cell) for cell in (1, 2, 3, 4)}


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (4, 4)])
def test_a_map_that_is_all_cell_equals_pycocotools(shape: tuple[int, int]) -> None:
    mask = np.full(shape, 5, dtype=np.uint8)
    assert encode_mask_map(mask) == {5: reference_text(mask == 5)}


def test_a_map_without_cells_has_no_texts() -> None:
    assert encode_mask_map(np.zeros((8, 8), dtype=np.uint16)) == {}
    assert encode_mask_map(np.zeros((0, 8), dtype=np.uint16)) == {}


@pytest.mark.parametrize("mask", [np.zeros(4, np.uint16), np.zeros((2, 2)), np.zeros((2, 2), np.int64)])
def test_what_is_no_label_map_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a label map is"):
        encode_mask_map(mask)


def test_the_placeholder_of_the_sample_submission_is_an_empty_full_size_mask() -> None:
    rle = decode_text("eNoLCAgIMAEABJkBdQ==", 2048, 2048)
    assert rle == {"size": [2048, 2048], "counts": b"PPPP4"}
    assert not to_mask("eNoLCAgIMAEABJkBdQ==", 2048, 2048).any()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not base64!", "not base64"),
        ("ünïcode", "not base64"),
        ("", "not zlib"),
        (base64.b64encode(b"plain bytes").decode(), "not zlib"),
        (text_of(b""), "no COCO counts"),
        (text_of(b"2\x7f"), "no COCO counts"),
        (text_of(b"2 2"), "no COCO counts"),
        (text_of(b"22P"), "no COCO counts"),  # ends inside a number
        (text_of(b"P" * 9 + b"0"), "no COCO counts"),  # a number longer than any run
        (text_of(b"22"), "cover 4 pixels, the image has 3 x 2 = 6"),
        (text_of(b"226"), "cover 10 pixels"),
        (text_of(b"22O3"), "cover"),  # a run of -1
    ],
)
def test_a_text_that_holds_no_mask_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        decode_text(text, 2, 3)


def test_a_mask_of_another_size_is_refused() -> None:
    text = encode_mask_map(np.ones((4, 6), dtype=np.uint16))[1]
    with pytest.raises(DataError, match="cover 24 pixels, the image has 5 x 5 = 25"):
        decode_text(text, 5, 5)
