"""The search for near-duplicates against comparing all pairs, which is its peer and its reference.

    python -m benchmarks.duplicates

Hashes are random with 32 bits set, as perceptual hashes are; in a tenth of the images one channel is black, a twentieth
is empty, and one in a hundred is a near-copy of another. Times are medians of processor seconds and
ratios of one run on one core.
"""

import resource
import time
import timeit
from collections.abc import Callable

import numpy as np

from common.duplicates import MAX_BITS, duplicate_groups, near_pairs

PEER_IMAGES, IMAGES = 30_000, 100_000
BLOCK = 512
REPEATS = 3


def make_hashes(count: int, seed: int) -> np.ndarray:
    """(count, 3) uint64."""
    rng = np.random.default_rng(seed)
    bits = rng.permuted(np.broadcast_to(np.arange(64) < 32, (count, 3, 64)), axis=2)
    hashes = np.packbits(bits, axis=2).view(np.uint64)[..., 0]
    black = rng.random(count) < 0.1
    hashes[black, rng.integers(0, 3, black.sum())] = 0
    hashes[rng.random(count) < 0.05] = 0
    copies, originals = rng.permutation(count)[: count // 50].reshape(2, -1)
    few = rng.integers(0, 64, (len(copies), 3, 6)).astype(np.uint64)
    hashes[copies] = hashes[originals] ^ np.bitwise_or.reduce(np.uint64(1) << few, axis=2)
    return hashes


def compare_all(hashes: np.ndarray) -> np.ndarray:
    """(2, pairs) i < j of all duplicates, by comparing every pair: red first, the other channels where red is near."""
    found = []
    for start in range(0, len(hashes), BLOCK):
        red = np.bitwise_count(hashes[start : start + BLOCK, None, 0] ^ hashes[None, start:, 0]) <= MAX_BITS
        pairs = np.argwhere(red).T + start
        pairs = pairs[:, pairs[0] < pairs[1]]
        differing = np.bitwise_count(hashes[pairs[0], 1:] ^ hashes[pairs[1], 1:])
        found.append(pairs[:, (differing <= MAX_BITS).all(axis=1)])
    return np.concatenate(found, axis=1)


def search(hashes: np.ndarray) -> np.ndarray:
    """(2, pairs) i < j of all duplicates, by the search."""
    pairs = np.concatenate(list(near_pairs(hashes)), axis=1)
    return np.unique(np.sort(pairs, axis=0), axis=1)


def median_time(work: Callable[[np.ndarray], object], hashes: np.ndarray) -> float:
    """Median seconds of ``work(hashes)``."""
    return float(
        np.median(timeit.repeat(lambda: work(hashes), timer=time.process_time, number=1, repeat=REPEATS))
    )


def main() -> None:
    """Print recall and times."""
    hashes = np.unique(make_hashes(PEER_IMAGES, 0), axis=0)
    found, expected = search(hashes), compare_all(hashes)
    missed = expected.shape[1] - len(set(map(tuple, expected.T.tolist())) & set(map(tuple, found.T.tolist())))
    print(
        f"{len(hashes)} different hashes: {expected.shape[1]} pairs, {missed} missed, {found.shape[1]} found"
    )
    peer, ours = median_time(compare_all, hashes), median_time(search, hashes)
    print(f"all pairs {peer:.2f} s, search {ours:.2f} s: {peer / ours:.1f} x")
    many = make_hashes(IMAGES, 1)
    ids = [f"{number:06d}" for number in range(IMAGES)]
    whole = median_time(lambda given: duplicate_groups(ids, given), many)
    estimate = peer * (IMAGES / PEER_IMAGES) ** 2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"clusters of {IMAGES} images: {whole:.1f} s, all pairs would take {estimate:.0f} s; peak {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
