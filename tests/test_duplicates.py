"""Near-duplicates: copies are found, different fields are not."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.duplicates import MAX_BITS, duplicate_groups, keep_one, near_pairs, perceptual_hash
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
    assert found_pairs(hashes) == {(0, 1), (1, 2)}


def found_pairs(hashes: np.ndarray) -> set[tuple[int, int]]:
    return {tuple(sorted(pair)) for part in near_pairs(hashes) for pair in part.T.tolist()}


def all_pairs(hashes: np.ndarray) -> set[tuple[int, int]]:
    """By comparing all."""
    near = (np.bitwise_count(hashes[:, None] ^ hashes[None]) <= MAX_BITS).all(axis=2)
    return {(i, j) for i, j in np.argwhere(near).tolist() if i < j}


def with_bits_flipped(rng: np.random.Generator, hashes: np.ndarray, most: int) -> np.ndarray:
    """Each of (N, 3) hashes with 0 to ``most`` random bits of each channel turned."""
    order = rng.permuted(np.broadcast_to(np.arange(64, dtype=np.uint64), (*hashes.shape, 64)), axis=2)
    turned = np.arange(64) < rng.integers(0, most + 1, (*hashes.shape, 1))
    flips: np.ndarray = np.where(turned, np.uint64(1) << order, np.uint64(0)).sum(axis=2, dtype=np.uint64)
    return hashes ^ flips


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([2, 12, 14, 64]))
def test_all_pairs_are_found_and_no_others(seed: int, count: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, (count, 3), np.uint64)
    hashes = np.concatenate(
        [hashes, with_bits_flipped(rng, hashes, most), with_bits_flipped(rng, hashes, 13)]
    )
    hashes[rng.random(hashes.shape) < 0.2] = 0  # black channels
    assert found_pairs(hashes) == all_pairs(hashes)


def test_pairs_that_differ_in_all_twelve_bits_are_found_wherever_the_bits_are() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, (500, 3), np.uint64)
    flips = np.array([sum(1 << int(b) for b in rng.permutation(64)[:12]) for _ in range(500)], np.uint64)
    pairs = found_pairs(np.concatenate([hashes, hashes ^ flips[:, None]]))
    assert pairs == {(i, i + 500) for i in range(500)}


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_crowd_in_one_channel_is_searched_by_another(channel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.duplicates.BLOCK", 1000)
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, (4000, 3), np.uint64)
    hashes[:, channel] = 0
    hashes[7] = with_bits_flipped(rng, hashes[3:4], 12)[0]
    assert max(part.shape[1] for part in near_pairs(hashes)) < 1000
    assert found_pairs(hashes) == {(3, 7)}


def test_a_large_clique_is_one_cluster_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.duplicates.BLOCK", 5000)  # of 1,200 x 1,200 / 2 pairs
    rng = np.random.default_rng(0)
    near = with_bits_flipped(rng, np.zeros((1200, 3), np.uint64), 5)
    far = rng.integers(0, 2**64, (300, 3), np.uint64)
    groups = duplicate_groups([f"{i:04d}" for i in range(1500)], np.concatenate([near, far]))
    assert groups == ["0000"] * 1200 + [f"{i:04d}" for i in range(1200, 1500)]


def test_thousands_of_empty_images_are_one_cluster() -> None:
    hashes = np.zeros((50_000, 3), np.uint64)
    assert set(duplicate_groups([f"{i:05d}" for i in range(50_000)], hashes)) == {"00000"}
    assert duplicate_groups([], np.empty((0, 3), np.uint64)) == []


def test_half_of_the_bits_of_a_hash_are_set(draw_image: Draw) -> None:
    assert np.bitwise_count(hashes_of(draw_image(seed, 128) for seed in range(4))).tolist() == [[32] * 3] * 4


def test_a_chain_of_near_copies_is_one_cluster_named_by_its_first_id() -> None:
    steps = np.array([sum(1 << bit for bit in range(8 * step)) for step in range(5)], np.uint64)
    hashes = np.stack([steps] * 3, axis=1)  # neighbours differ in 8 bits, the ends in 32
    far = np.full((1, 3), 0xAAAA_AAAA_AAAA_AAAA, np.uint64)
    groups = duplicate_groups(["e", "d", "b", "c", "a", "f"], np.concatenate([hashes, far]))
    assert groups == ["a", "a", "a", "a", "a", "f"]


@settings(deadline=None, max_examples=50)
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


def images_table(**columns: list[object]) -> pd.DataFrame:
    rows = pd.DataFrame(columns)
    return rows.assign(height=rows["width"], image_id=list("abcdefgh")[: len(rows)])


def test_the_largest_of_a_cluster_is_kept_and_of_equals_the_first() -> None:
    table = images_table(
        duplicate_group=["x", "x", "y", "y", "y", "z"],
        width=[512, 1024, 512, 512, 64, 8],
        split=["train"] * 6,
    )
    assert keep_one(table).tolist() == [False, True, True, False, False, True]
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(keep_one(shuffled).sort_index(), keep_one(table))


def test_test_images_stay_and_do_not_stand_in_for_training_images() -> None:
    table = images_table(
        duplicate_group=["x"] * 4, width=[512, 512, 1024, 1024], split=["train", "train", "test", "test"]
    )
    assert keep_one(table).tolist() == [True, False, True, True]


def test_the_published_pairs_form_clusters_of_which_one_each_is_kept(shared: Path) -> None:
    pairs = pd.read_csv(shared / "data/labels/samusram_duplicates.csv")
    assert pairs[["SimR", "SimG", "SimB"]].le(MAX_BITS).all(axis=None)
    ids = sorted(set(pairs["a"]) | set(pairs["b"]))
    place = {image_id: number for number, image_id in enumerate(ids)}
    graph = coo_array(
        (np.ones(len(pairs)), (pairs["a"].map(place), pairs["b"].map(place))), shape=(len(ids), len(ids))
    )
    count, cluster = connected_components(graph, directed=False)
    table = pd.DataFrame(
        {"image_id": ids, "duplicate_group": cluster, "split": "train", "height": 1, "width": 1}
    )
    kept = table[keep_one(table)]
    assert len(kept) == count < len(ids) / 2 + 1
    assert set(kept["duplicate_group"]) == set(cluster)  # the published rule kept none
