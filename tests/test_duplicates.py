"""Near-duplicates: copies are found, different fields are not."""

from collections.abc import Callable, Iterable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.duplicates import MAX_BITS, duplicate_groups, near_pairs, perceptual_hash
from common.simulate.fields import simulate
from common.simulate.samples import SimulateParams

Draw = Callable[..., np.ndarray]


def hashes_of(images: Iterable[np.ndarray]) -> np.ndarray:
    return np.array([perceptual_hash(image) for image in images], np.uint64)


def resaved(image: np.ndarray) -> np.ndarray:
    """As after a lossy jpg at half the size."""
    small = [cv2.resize(channel, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for channel in image]
    coded = [cv2.imencode(".jpg", channel, [cv2.IMWRITE_JPEG_QUALITY, 60])[1] for channel in small]
    return np.stack([np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED)) for content in coded])


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "change", [np.copy, resaved, noisy, lambda image: image // 2, lambda i: i.astype(np.uint16) * 257]
)
def test_a_copy_is_found_however_it_was_saved(
    draw_image: Draw, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    images = [draw_image(seed, 128) for seed in range(4)]
    groups = duplicate_groups(["a", "b", "c", "d", "copy of c"], hashes_of([*images, change(images[2])]))
    assert groups == ["a", "b", "c", "d", "c"]


@pytest.fixture(scope="module")
def simulated() -> list[np.ndarray]:
    return [field.image for field in simulate(SimulateParams(fields=24, test_fields=8, side_px=192, seed=3))]


def test_different_simulated_fields_are_no_duplicates(simulated: list[np.ndarray]) -> None:
    ids = [str(number) for number in range(len(simulated))]
    assert duplicate_groups(ids, hashes_of(simulated)) == ids


def test_a_copy_of_a_simulated_field_is_found(simulated: list[np.ndarray]) -> None:
    groups = duplicate_groups(["x", "y", "z"], hashes_of([simulated[0], simulated[1], resaved(simulated[1])]))
    assert groups == ["x", "y", "y"]


def test_one_differing_channel_makes_another_image(draw_image: Draw) -> None:
    image, other = draw_image(0, 128), draw_image(1, 128)
    for channel in range(3):
        changed = image.copy()
        changed[channel] = other[channel]
        assert duplicate_groups(["a", "b"], hashes_of([image, changed])) == ["a", "b"]
    changed = image.copy()
    changed[3] = other[3]  # the fourth channel is not compared
    assert duplicate_groups(["a", "b"], hashes_of([image, changed])) == ["a", "a"]


def test_the_limit_is_twelve_bits_in_each_channel() -> None:
    hashes = np.zeros((3, 3), np.uint64)
    hashes[1] = 2**MAX_BITS - 1
    hashes[2, 1] = 2**63 + 2**MAX_BITS - 1
    assert near_pairs(hashes, 0).T.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [2, 1], [2, 2]]


def test_a_chain_of_near_copies_is_one_cluster_named_by_its_first_id() -> None:
    steps = np.array([sum(1 << bit for bit in range(8 * step)) for step in range(5)], np.uint64)
    hashes = np.stack([steps] * 3, axis=1)  # neighbours differ in 8 bits, the ends in 32
    far = np.full((1, 3), 0xAAAA_AAAA_AAAA_AAAA, np.uint64)
    groups = duplicate_groups(["e", "d", "b", "c", "a", "f"], np.concatenate([hashes, far]))
    assert groups == ["a", "a", "a", "a", "a", "f"]


@given(st.lists(st.integers(0, 7), min_size=1, max_size=30))
def test_clusters_do_not_depend_on_the_order_of_images(kinds: list[int]) -> None:
    codes = np.random.default_rng(5).integers(0, 2**64, (8, 3), np.uint64)
    ids = [f"i{number}" for number in range(len(kinds))]
    groups = dict(zip(ids, duplicate_groups(ids, codes[kinds]), strict=True))
    order = np.random.default_rng(len(kinds)).permutation(len(kinds))
    shuffled = duplicate_groups([ids[place] for place in order], codes[kinds][order])
    assert [groups[ids[place]] for place in order] == shuffled
    for image_id, kind in zip(ids, kinds, strict=True):
        assert groups[image_id] == min(other for other, its in zip(ids, kinds, strict=True) if its == kind)


def test_pairs_are_found_across_blocks() -> None:
    codes = np.random.default_rng(0).integers(0, 2**64, (1200, 3), np.uint64)
    codes[1100] = codes[3]
    groups = duplicate_groups([f"{number:04d}" for number in range(1200)], codes)
    assert groups[1100] == "0003"
    assert len(set(groups)) == 1199
