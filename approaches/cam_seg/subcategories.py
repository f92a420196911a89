"""Sub-labels: the images of a class fall into clusters of features, which round 1 learns beside the classes (SC-CAM).

N images, F features, C classes, k clusters of a class. Sub-class = class x k + cluster.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from approaches.cam_seg.recipe import SubcategoryParams
from common.errors import DataError
from common.progress import track

BLOCK = 4096
"""Images that are compared with the centres at once: 32 MB of 2048 features."""


@dataclass(frozen=True)
class Subcategories:
    """(C, F) mean and standard deviation of the features of each class, and (C, k, F) the centres of its clusters.

    Centres are in scaled features. A class of fewer images than clusters has fewer; the rows of the others are NaN. A
    class without images has none: all its images go to its first sub-class.
    """

    mean: np.ndarray
    deviation: np.ndarray
    centres: np.ndarray


def find_subcategories(
    features: np.ndarray, labels: np.ndarray, rows: np.ndarray, params: SubcategoryParams
) -> Subcategories:
    """Find the clusters of each class by k-means, one class in memory at a time.

    Args:
        features: (N, F) float32; a memory map will do.
        labels: (N, C) 0 or 1.
        rows: which images may be looked at: those of the training folds. System C took all, validation included.

    Raises:
        DataError: a feature is NaN or infinite.
    """
    classes, width = labels.shape[1], features.shape[1]
    mean, deviation = np.zeros((classes, width), np.float32), np.ones((classes, width), np.float32)
    centres = np.full((classes, params.clusters, width), np.nan, np.float32)
    for class_id in track(range(classes), classes, "sub-categories"):
        members = rows[labels[rows, class_id] > 0]
        if len(members) > params.most_images:
            rng = np.random.default_rng((params.seed, class_id))
            members = np.sort(rng.choice(members, params.most_images, replace=False))
        if not len(members):
            continue
        block = features[members].astype(np.float32, copy=False)
        if not np.isfinite(block).all():
            raise DataError(f"features of images with class {class_id} are not finite; train round 0 again")
        if params.scale:
            mean[class_id], deviation[class_id] = _scale(block)
        found = _cluster(block, params)
        centres[class_id, : len(found)] = found
    return Subcategories(mean, deviation, centres)


def assign_subcategories(features: np.ndarray, labels: np.ndarray, known: Subcategories) -> np.ndarray:
    """Give each image the nearest cluster of each of its classes.

    Args:
        features: (N, F), of any images.
        labels: (N, C) 0 or 1.

    Returns:
        (N, C k) uint8; the sub-classes of an image, each divided by k, are its labels.
    """
    count, classes = labels.shape
    clusters = known.centres.shape[1]
    found = np.zeros((count, classes, clusters), np.uint8)
    for class_id in range(classes):
        members = np.flatnonzero(labels[:, class_id] > 0)
        centres = known.centres[class_id]
        centres = centres[~np.isnan(centres[:, 0])]
        for part in np.array_split(members, -(-len(members) // BLOCK) or 1):
            scaled = (features[part] - known.mean[class_id]) / known.deviation[class_id]
            # |x - c|^2 without |x|^2, which is the same for all centres
            distances = (centres**2).sum(1) - 2 * scaled @ centres.T
            found[part, class_id, distances.argmin(1) if len(centres) else 0] = 1
    return found.reshape(count, classes * clusters)


def save_subcategories(known: Subcategories, path: Path) -> None:
    """Write one .safetensors file."""
    save_file({"mean": known.mean, "deviation": known.deviation, "centres": known.centres}, path)


def load_subcategories(path: Path) -> Subcategories:
    """Read what ``save_subcategories`` wrote.

    Raises:
        DataError: there is no such file.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; run the sub-categories stage of this approach")
    return Subcategories(**load_file(path))


def _scale(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring (n, F) to mean 0 and deviation 1 in place; a feature without any spread keeps its scale.

    numpy's own mean and deviation would make a copy in float64.
    """
    mean = block.mean(0, dtype=np.float64).astype(np.float32)
    block -= mean
    deviation = np.sqrt(np.einsum("nf,nf->f", block, block) / len(block))
    deviation = np.where(deviation > 1e-6 * np.abs(mean), deviation, np.float32(1))
    block /= deviation
    return mean, deviation


def _cluster(block: np.ndarray, params: SubcategoryParams) -> np.ndarray:
    """The centres of (n, F), as many as there are clusters, or images where these are fewer."""
    if len(block) <= params.clusters:
        return block
    means = KMeans(
        params.clusters,
        n_init=params.starts,
        max_iter=params.iterations,
        random_state=params.seed,
        copy_x=False,
    )
    # One thread: several gain little on blocks of this kind, cost ten times as much on a busy machine, where they
    # wait for each other without sleeping, and would make the last digits depend on their number.
    with threadpool_limits(1):
        centres: np.ndarray = means.fit(block).cluster_centers_
    return centres
