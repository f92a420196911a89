"""Near-duplicate images: about 400 images of the hidden test set were copies of training images.

Two images are duplicates when their perceptual hashes differ in at most ``MAX_BITS`` of 64 bits in each of the red,
green and blue channels (the rule of github.com/SamusRam/hpa-single-cell, which found 1,414 pairs in the training set).
"""

import imagehash
import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.images import to_uint8

MAX_BITS = 12
BLOCK = 512


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
    pairs = [near_pairs(hashes, start) for start in range(0, len(ids), BLOCK)]
    first, second = np.concatenate([np.empty((2, 0), int), *pairs], axis=1)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(ids), len(ids)))
    _, cluster = connected_components(graph, directed=False)
    names: dict[int, str] = {}
    for image_id, number in sorted(zip(ids, cluster.tolist(), strict=True)):
        names.setdefault(number, image_id)
    return [names[number] for number in cluster.tolist()]


def near_pairs(hashes: np.ndarray, start: int) -> np.ndarray:
    """(2, pairs) the indices i, j of the duplicates with i in the block of rows from ``start``."""
    differing = np.bitwise_count(hashes[start : start + BLOCK, None] ^ hashes[None])
    first, second = np.nonzero((differing <= MAX_BITS).all(axis=2))
    return np.stack([first + start, second])
