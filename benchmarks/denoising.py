"""De-noising on the graph of look-alike cells against the published procedure, and how it grows.

    python -m benchmarks.denoising [cells]

The peer is what github.com/SamusRam/hpa-single-cell does, written again: a ball tree, eigenvectors of the Laplacian
with the smallest eigenvalues by Lanczos (scipy's, for SLEPc's), and ADMM for the coefficients (here without adapting
its step). Embeddings are 1,024 numbers: 60 kinds of cells that vary in 16 directions, and noise. Times are processor
seconds, with OMP_NUM_THREADS=1.
"""

import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import laplacian
from scipy.sparse.linalg import eigsh
from sklearn.neighbors import BallTree

from common.labels.denoising import Denoised, DenoisingParams, denoise
from common.labels.graph import GraphParams, connect, nearest, smooth_signals

DIMENSIONS, KINDS, DIRECTIONS, CLASSES = 1024, 60, 16, 19
SIZES = (10_000, 30_000, 100_000)
LIMIT = 100_000
WEIGHT, CORRIDOR = 0.001, 0.12
ADMM_ROUNDS, ADMM_TOLERANCE = 1000, 1e-5
T = TypeVar("T")


def make_cells(cells: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (N, 1024) float16 and soft labels (N, 19): each kind has a class, a fifth of the labels is wrong."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, KINDS, cells)
    centres, directions = rng.normal(size=(KINDS, DIMENSIONS)), rng.normal(size=(DIRECTIONS, DIMENSIONS))
    embeddings = np.empty((cells, DIMENSIONS), np.float16)
    for block in np.array_split(np.arange(cells), -(-cells // 10_000)):
        varied = rng.normal(size=(len(block), DIRECTIONS)) @ directions
        noise = rng.normal(size=(len(block), DIMENSIONS))
        embeddings[block] = 0.6 * centres[kinds[block]] + 0.5 * varied + 0.3 * noise
    said = np.where(rng.random(cells) < 0.2, rng.integers(0, CLASSES, cells), kinds % CLASSES)
    return embeddings, np.clip(0.7 * np.eye(CLASSES)[said] + 0.3 * rng.random((cells, CLASSES)), 0, 1)


def timed(times: dict[str, float], step: str, work: Callable[[], T]) -> T:
    """Do ``work`` and note its processor seconds."""
    start = time.process_time()
    result = work()
    times[step] = time.process_time() - start
    return result


def ours(
    embeddings: np.ndarray, labels: np.ndarray, params: GraphParams
) -> tuple[Denoised, np.ndarray, dict[str, float]]:
    """De-noised labels, the neighbours, and the time of each step."""
    times: dict[str, float] = {}
    neighbours = timed(times, "neighbours", lambda: nearest(embeddings, params))
    graph = timed(times, "graph", lambda: connect(neighbours))
    signals = timed(times, "eigenvectors", lambda: smooth_signals(graph, params))
    found = timed(times, "alternation", lambda: denoise(labels, signals, DenoisingParams()))
    return found, neighbours, times


def published(embeddings: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """The labels of the published procedure, and the time of each step."""
    times: dict[str, float] = {}
    wide = embeddings.astype(np.float64)
    tree = timed(times, "neighbours", lambda: BallTree(wide).query(wide, 200, return_distance=False))
    cells = len(wide)
    ends = np.arange(0, cells * 200 + 1, 200)
    directed = csr_array((np.ones(cells * 200), tree.ravel(), ends), shape=(cells, cells))
    graph = timed(times, "graph", lambda: laplacian(directed.maximum(directed.T), normed=True))
    values, vectors = timed(times, "eigenvectors", lambda: eigsh(graph, 50, which="SA"))
    given = np.column_stack([labels, 1 - labels.max(axis=1)])
    return timed(times, "alternation", lambda: alternate(given, values, vectors)), times


def alternate(given: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The published alternation: ADMM for the coefficients, the better of two candidates for each label."""
    labels = given
    weights = WEIGHT * np.sqrt(np.maximum(values, 0))
    while True:
        columns = [vectors @ solve_column(vectors, column, weights) for column in labels.T]
        smooth = np.stack(columns, axis=1)
        upper = np.maximum(smooth - CORRIDOR, given)
        lower = np.maximum(0, np.minimum(smooth + CORRIDOR, given))
        costs = [0.5 * (z - smooth) ** 2 + CORRIDOR * np.abs(z - given) for z in (upper, lower)]
        moved = np.where(costs[0] < costs[1], upper, lower)
        settled = np.isclose(labels, moved, rtol=0.01).mean() >= 0.999
        labels = moved
        if settled:
            return labels[:, :CLASSES]


def solve_column(vectors: np.ndarray, column: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """argmin_a 1/2 |V a - y|^2 + |weights a|_1 by ADMM."""
    copy, dual = np.zeros((2, len(weights)))
    normal = np.linalg.inv(vectors.T @ vectors + np.eye(len(weights)))
    target = vectors.T @ column
    for _ in range(ADMM_ROUNDS):
        coefficients = normal @ (target + copy - dual)
        lifted, before = coefficients + dual, copy
        copy = np.sign(lifted) * np.maximum(np.abs(lifted) - weights, 0)
        dual = lifted - copy
        change = max(np.linalg.norm(copy - before), np.linalg.norm(coefficients - copy))
        if change < ADMM_TOLERANCE * np.linalg.norm(copy):
            break
    return copy


def told(times: dict[str, float]) -> str:
    """The steps and their sum."""
    return f"{sum(times.values()):7.1f} s: " + ", ".join(
        f"{name} {value:.2f}" for name, value in times.items()
    )


def peak_gb() -> float:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def compare(cells: int) -> None:
    """Print both procedures' times and how far their labels are apart."""
    embeddings, labels = make_cells(cells)
    found, _, times = ours(embeddings, labels, GraphParams())
    expected, peer = published(embeddings, labels)
    print(f"{cells} cells: published {told(peer)}\n{cells} cells: ours      {told(times)}")
    ratio = sum(peer.values()) / sum(times.values())
    print(f"ratio {ratio:.1f}; largest difference of a label {np.abs(found.labels - expected).max():.1e}")


def grow(cells: int) -> None:
    """Print the times with all and with few comparisons, and what few comparisons change."""
    embeddings, labels = make_cells(cells)
    few, rough, times = ours(embeddings, labels, GraphParams(exact_up_to=0))
    print(f"{cells} cells, approximate {told(times)}; peak {peak_gb():.1f} GB", flush=True)
    if cells > LIMIT:
        return
    exact, true, times = ours(embeddings, labels, GraphParams(exact_up_to=cells))
    sample = range(0, cells, cells // 500)
    recall = np.mean([len(np.intersect1d(true[row], rough[row])) / true.shape[1] for row in sample])
    alike = np.corrcoef(few.smooth.ravel(), exact.smooth.ravel())[0, 1]
    print(f"{cells} cells, exact       {told(times)}; peak {peak_gb():.1f} GB")
    print(
        f"approximate finds {recall:.3f} of the true neighbours; smoothed labels correlate {alike:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    if given := [int(word) for word in sys.argv[1:]]:
        for size in given:
            grow(size)
    else:
        compare(SIZES[0])
        for size in SIZES:
            grow(size)
