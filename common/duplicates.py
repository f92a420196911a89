"""Near-duplicate images: about 400 images of the hidden test set were copies of training images.

Two images are duplicates when their perceptual hashes differ in at most ``MAX_BITS`` of 64 bits in each of the red,
green and blue channels (the rule of github.com/SamusRam/hpa-single-cell, which found 1,414 pairs in the training set).

All pairs are found without comparing all. A hash of 64 bits is cut into four keys of 16; if two hashes differed in more
than 3, 2, 2 and 2 bits of them, they would differ in 13 or more. So duplicates nearly agree in one key: for each of the
1,108 patterns that few bits can make, the images are joined whose keys differ by just that pattern. Norouzi et al. 2012
search like this; counting the bits that are set, a usual filter, is of no use, since every such hash has 32.
"""

from collections.abc import Iterator
from itertools import combinations

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.images import to_uint8

MAX_BITS = 12
KEY_BITS = 16
KEY_LIMITS = (3, 2, 2, 2)
"""One more than each adds up to MAX_BITS + 1."""
SHIFTS = np.arange(0, 64, KEY_BITS, dtype=np.uint64)

BLOCK = 1 << 18
"""Pairs that are looked at together."""


def perceptual_hash(image: np.ndarray) -> tuple[int, int, int]:
    """Hash the first three channels of a (4, H, W) image to 64 bits each."""
    hashes = (imagehash.phash(Image.fromarray(channel)) for channel in to_uint8(image[:3]))
    return tuple(int(str(one), 16) for one in hashes)  # type: ignore[return-value]


def duplicate_groups(ids: list[str], hashes: np.ndarray) -> list[str]:
    """Name the duplicate cluster of each image by the first id in it.

    Args:
        ids: N image ids.
        hashes: (N, 3) uint64 of ``perceptual_hash``.
    """
    # Copies, and the many black channels there may be, are one hash: a clique of them is never listed.
    different, which = np.unique(hashes, axis=0, return_inverse=True)
    cluster = _clusters(different)[which.ravel()]
    names: dict[int, str] = {}
    for image_id, number in sorted(zip(ids, cluster.tolist(), strict=True)):
        names.setdefault(number, image_id)
    return [names[number] for number in cluster.tolist()]


def _clusters(hashes: np.ndarray) -> np.ndarray:
    """Number the connected components of (N, 3) different hashes: (N,)."""
    cluster = np.arange(len(hashes))
    waiting, count = [np.empty((2, 0), int)], 0
    for pairs in near_pairs(hashes):
        edges = cluster[pairs]
        waiting.append(edges[:, edges[0] != edges[1]])
        count += waiting[-1].shape[1]
        if count > BLOCK:
            cluster = _merge(cluster, waiting)
            waiting, count = [np.empty((2, 0), int)], 0
    return _merge(cluster, waiting)


def _merge(cluster: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    first, second = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(cluster), len(cluster)))
    merged: np.ndarray = connected_components(graph, directed=False)[1][cluster]
    return merged


def near_pairs(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield (2, n) the indices of all duplicates among (N, 3) uint64, in parts; a pair comes once to four times."""
    keys = [channel[:, None] >> SHIFTS & np.uint64(2**KEY_BITS - 1) for channel in hashes.T]
    crowding = [sum((np.bincount(key.astype(int)) ** 2).sum() for key in key_sets.T) for key_sets in keys]
    order = np.argsort(crowding)  # a channel that is black in many images would put all of them together
    for key, limit in zip(keys[order[0]].astype(int).T, KEY_LIMITS, strict=True):
        for pairs in _pairs_by_key(key, limit):
            for channel in hashes.T[order]:
                differing = np.bitwise_count(channel[pairs[0]] ^ channel[pairs[1]])
                pairs = pairs[:, differing <= MAX_BITS]
            yield pairs


def _pairs_by_key(keys: np.ndarray, limit: int) -> Iterator[np.ndarray]:
    """Yield (2, n) the indices of pairs whose keys differ in at most ``limit`` bits, each once, in parts of BLOCK."""
    images = np.argsort(keys, kind="stable")
    keys = keys[images]
    counts = np.bincount(keys, minlength=2**KEY_BITS)
    stops = counts.cumsum()
    starts = stops - counts
    for pattern in _patterns(limit):
        partner = keys ^ pattern
        begin = starts[partner] if pattern else np.arange(1, len(keys) + 1)
        partners = np.where(keys <= partner, stops[partner] - begin, 0)
        ends = partners.cumsum()
        cuts = np.searchsorted(ends, range(BLOCK, partners.sum(), BLOCK))
        for part in np.split(np.arange(len(keys)), cuts):
            number = partners[part]
            left = np.repeat(part, number)
            within = np.arange(len(left)) - np.repeat(number.cumsum() - number, number)
            yield images[np.stack([left, np.repeat(begin[part], number) + within])]


def _patterns(limit: int) -> list[int]:
    """Every number of KEY_BITS bits of which at most ``limit`` are set."""
    chosen = (bits for count in range(limit + 1) for bits in combinations(range(KEY_BITS), count))
    return [sum(1 << bit for bit in bits) for bits in chosen]


def keep_one(images: pd.DataFrame) -> pd.Series:
    """Which rows of an images table stay when of each cluster of training images one is kept, the largest.

    Images of one size are kept by the order of their ids; test images stay. Published code dropped whole clusters.
    """
    train = images[images["split"] == "train"]
    best_first = train.assign(area=train["height"] * train["width"]).sort_values(
        ["area", "image_id"], ascending=[False, True]
    )
    repeated = best_first.index[best_first.duplicated("duplicate_group")]
    return pd.Series(~images.index.isin(repeated), index=images.index)
