"""Sub-categories of many images, against scikit-learn used plainly: StandardScaler and KMeans in double precision.

    python -m benchmarks.subcategories [--images 100000]

Features have the width of a ResNet50 and lie, class by class, round more centres than there are clusters. Labels are as
frequent as in the competition. The peer takes the first 5,000 images; both find clusters of the same tightness there.
Features lie in a file and are mapped; the peak of the large run leaves the mapped pages out, which the system takes
back when it needs them. Both run on one thread; times are processor seconds.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from approaches.cam_seg.recipe import SubcategoryParams
from approaches.cam_seg.subcategories import assign_subcategories, find_subcategories

COUNTS = (
    *(8797, 1095, 2451, 1262, 1425, 1792, 775, 1846, 964, 998),
    *(818, 78, 1734, 3111, 2013, 252, 5685, 593, 34),
)
"""Images of each class, of the competition's 21,806."""
WIDTH, CENTRES, BLOCK = 2048, 40, 2000
PEER_IMAGES = 5000


def make_labels(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 19) uint8; every image has a label."""
    labels = rng.random((count, len(COUNTS))) < np.array(COUNTS) / 21806
    labels[~labels.any(1), 0] = True
    return labels.astype(np.uint8)


def write_features(path: Path, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, WIDTH) float32, mapped from ``path``: positive and skewed like pooled activations, correlated."""
    features = np.lib.format.open_memmap(path, "w+", np.float32, (len(labels), WIDTH))
    mixing = rng.normal(size=(64, WIDTH)).astype(np.float32) / 8
    centres = rng.normal(size=(CENTRES, 64)).astype(np.float32)
    of_class = rng.normal(size=(len(COUNTS), 64)).astype(np.float32)
    for start in range(0, len(labels), BLOCK):
        part = labels[start : start + BLOCK]
        hidden = part @ of_class + centres[rng.integers(0, CENTRES, len(part))]
        hidden = hidden + rng.standard_normal((len(part), 64), dtype=np.float32)
        noise = 0.5 * rng.standard_normal((len(part), WIDTH), dtype=np.float32)
        features[start : start + BLOCK] = np.maximum(hidden @ mixing + noise, 0)
    features.flush()
    del features
    return np.load(path, mmap_mode="r")


def tightness(features: np.ndarray, labels: np.ndarray, sub_labels: np.ndarray) -> float:
    """Mean squared distance from the mean of the sub-class, over images and their classes, in scaled features."""
    total = 0.0
    for class_id in range(labels.shape[1]):
        members = labels[:, class_id] > 0
        scaled = StandardScaler().fit_transform(features[members].astype(float))
        clusters = sub_labels.reshape(len(labels), labels.shape[1], -1)[members, class_id].argmax(1)
        for cluster in np.unique(clusters):
            part = scaled[clusters == cluster]
            total += ((part - part.mean(0)) ** 2).sum()
    return total / labels.sum() / WIDTH


def plainly(features: np.ndarray, labels: np.ndarray, params: SubcategoryParams) -> np.ndarray:
    """The peer: (N, 190)."""
    found = np.zeros((*labels.shape, params.clusters), np.uint8)
    for class_id in range(labels.shape[1]):
        members = np.flatnonzero(labels[:, class_id])
        scaled = StandardScaler().fit_transform(features[members].astype(float))
        clusters = min(params.clusters, len(members))
        means = KMeans(clusters, n_init=params.starts, max_iter=params.iterations, random_state=params.seed)
        found[members, class_id, means.fit_predict(scaled)] = 1
    return found.reshape(len(labels), -1)


class Peak:
    """The most private memory of this process while the block runs, in MB above what it had before."""

    def __enter__(self) -> "Peak":
        self._process, self._done = psutil.Process(), threading.Event()
        self._before, self._most = self._private(), 0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.megabytes = (self._most - self._before) / 2**20

    def _private(self) -> int:
        memory = self._process.memory_info()
        return int(memory.rss - memory.shared)

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self._most = max(self._most, self._private())


def compare(features: np.ndarray, labels: np.ndarray, params: SubcategoryParams) -> None:
    """Print the time and tightness of both on the same images."""
    started = time.process_time()
    known = find_subcategories(features, labels, np.arange(len(labels)), params)
    ours = assign_subcategories(features, labels, known)
    between = time.process_time()
    peer = plainly(features, labels, params)
    times = between - started, time.process_time() - between
    tight = tightness(features, labels, ours), tightness(features, labels, peer)
    print(
        f"{len(labels)} images: {times[0]:.0f} s, peer {times[1]:.0f} s ({times[0] / times[1]:.2f} of it); "
        f"tightness {tight[0]:.4f}, peer {tight[1]:.4f}",
        flush=True,
    )


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    count = parser.parse_args().images
    rng, params = np.random.default_rng(0), SubcategoryParams()
    labels = make_labels(count, rng)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        features = write_features(Path(folder) / "features.npy", labels, rng)
        compare(np.asarray(features[:PEER_IMAGES]), labels[:PEER_IMAGES], params)
        started, used = time.monotonic(), time.process_time()
        with Peak() as peak:
            known = find_subcategories(features, labels, np.arange(count), params)
            found = assign_subcategories(features, labels, known)
        assert (found.reshape(count, len(COUNTS), -1).sum(2) == labels).all()
        print(
            f"{count} images, {labels.sum()} labels, the largest class {labels.sum(0).max()}: "
            f"{time.monotonic() - started:.0f} s ({time.process_time() - used:.0f} of processors), "
            f"{peak.megabytes:.0f} MB beside the features ({features.nbytes / 2**20:.0f} MB)"
        )


if __name__ == "__main__":
    main()
