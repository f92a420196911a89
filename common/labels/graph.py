"""Which cells look alike: the graph of nearest neighbours between embeddings, and its smoothest signals.

After github.com/SamusRam/hpa-single-cell: 200 neighbours (the cell itself among them), edges of weight 1 where either
cell is a neighbour of the other, and the eigenvectors of the normalised Laplacian with the smallest eigenvalues.
"""

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.cluster import KMeans

from common.errors import DataError
from common.params import Params
from common.progress import track

BLOCK_VALUES, BLOCK_ROWS = 4_000_000, 256
"""So many distances at a time stay in the processor's cache, but fewer rows would make the products slow."""
SAMPLE = 40
"""Cells a list that place its centre."""
LANCZOS_TOLERANCE = 1e-7


class GraphParams(Params):
    """How the graph is made."""

    neighbours: int = Field(default=200, ge=2)
    """The cell itself is one of them."""
    eigenvectors: int = Field(default=50, ge=1)
    exact_up_to: int = Field(default=100_000, ge=0)
    """So many cells are compared each with each; of more, each with those of the lists nearest to its own."""
    list_cells: int = Field(default=500, ge=1)
    """Cells of a list, on average."""
    probes: int = Field(default=20, ge=1)
    """Lists that a cell is compared with: more find more of the true neighbours."""
    seed: int = Field(default=0, ge=0)


def nearest(embeddings: np.ndarray, params: GraphParams) -> np.ndarray:
    """The nearest cells of each cell by Euclidean distance, itself among them, in no order.

    Args:
        embeddings: (N, D) floats, may be a memory map of float16.
        params: see there.

    Returns:
        (N, neighbours) int32 rows.

    Raises:
        DataError: there are fewer cells than neighbours, or embeddings are not finite.
    """
    if len(embeddings) <= params.neighbours:
        raise DataError(
            f"{len(embeddings)} cells have embeddings, too few for a graph of {params.neighbours} neighbours"
        )
    for block in _blocks(len(embeddings), embeddings.shape[1]):
        if not np.isfinite(embeddings[block].sum(axis=1, dtype=np.float32)).all():
            raise DataError("embeddings hold NaN or infinity; large values overflow half precision")
    if len(embeddings) <= params.exact_up_to:
        return _compare_all(embeddings, params.neighbours)
    return _compare_near_lists(embeddings, params)


def _compare_all(embeddings: np.ndarray, count: int) -> np.ndarray:
    base = np.asarray(embeddings, np.float32)
    blocks = _blocks(len(base), len(base))
    found = [
        np.argpartition(_distances(base[block], base), count - 1, axis=1)[:, :count].astype(np.int32)
        for block in track(blocks, len(blocks), "neighbours")
    ]
    return np.concatenate(found)


def _compare_near_lists(embeddings: np.ndarray, params: GraphParams) -> np.ndarray:
    """Compare each cell with the members of the lists whose centres are nearest to it, one list after the other."""
    cells, count = len(embeddings), params.neighbours
    home, probed = _assign_to_lists(embeddings, params)
    visitors = np.argsort(probed.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(probed.ravel()))
    found = np.zeros((cells, count), np.int32)
    best = np.full((cells, count), np.inf, np.float32)
    for number in track(range(len(ends)), len(ends), "neighbours"):
        members = np.flatnonzero(home == number).astype(np.int32)
        base = np.asarray(embeddings[members], np.float32)
        visiting = visitors[ends[number - 1] if number else 0 : ends[number]] // probed.shape[1]
        for block in _blocks(len(visiting), len(members) + count):
            rows = visiting[block]
            apart = np.hstack([best[rows], _distances(embeddings[rows], base)])
            order = np.argpartition(apart, count - 1, axis=1)[:, :count]
            others = np.hstack([found[rows], np.broadcast_to(members, (len(rows), len(members)))])
            best[rows] = np.take_along_axis(apart, order, axis=1)
            found[rows] = np.take_along_axis(others, order, axis=1)
    return found


def _assign_to_lists(embeddings: np.ndarray, params: GraphParams) -> tuple[np.ndarray, np.ndarray]:
    """The list of each cell (N,), and the lists that it is compared with (N, probes)."""
    cells = len(embeddings)
    lists = max(1, cells // params.list_cells)
    rng = np.random.default_rng(params.seed)
    sample = np.sort(rng.choice(cells, min(cells, SAMPLE * lists), replace=False))
    means = KMeans(lists, init="random", n_init=1, max_iter=10, random_state=params.seed)
    centres = means.fit(np.asarray(embeddings[sample], np.float32)).cluster_centers_
    order = [
        _distances(embeddings[block], centres).argsort(axis=1)[:, : params.probes].astype(np.int32)
        for block in _blocks(cells, lists)
    ]
    probed = np.concatenate(order)
    return probed[:, 0], probed


def _distances(rows: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Squared distances less each row's own square, which shifts its whole row."""
    apart: np.ndarray = np.asarray(rows, np.float32) @ base.T
    apart *= -2
    apart += np.einsum("nd,nd->n", base, base)
    return apart


def _blocks(rows: int, columns: int) -> list[slice]:
    step = max(BLOCK_ROWS, BLOCK_VALUES // columns)
    return [slice(start, start + step) for start in range(0, rows, step)]


def connect(neighbours: np.ndarray) -> csr_array:
    """The symmetric graph of (N, k) neighbours: 1 where either cell is a neighbour of the other; (N, N) float64."""
    cells, count = neighbours.shape
    # Numbers of 8 bytes would double the memory of the whole graph; scipy keeps the type that it is given.
    ends = np.arange(0, cells * count + 1, count, dtype=np.int32 if cells * count < 2**31 else np.int64)
    directed = csr_array((np.ones(cells * count, bool), neighbours.ravel(), ends), shape=(cells, cells))
    graph = (directed + directed.T).tocsr()
    del directed
    graph.setdiag(False)
    graph.eliminate_zeros()
    return graph.astype(np.float64)


def smooth_signals(graph: csr_array, params: GraphParams) -> tuple[np.ndarray, np.ndarray]:
    """The smoothest signals on a graph.

    The smallest eigenvalues of the normalised Laplacian I - S are the largest of S = D^-1/2 W D^-1/2, which Lanczos
    finds without a factorisation. S is applied and never stored: W alone is most of the memory.

    Returns:
        Eigenvalues of the Laplacian (m,) in [0, 2], rising, and the eigenvectors (N, m), orthonormal.

    Raises:
        DataError: there are fewer cells than eigenvectors.
    """
    cells = graph.shape[0]
    if cells <= params.eigenvectors:
        raise DataError(f"{cells} cells are too few for {params.eigenvectors} eigenvectors")
    scale = 1 / np.sqrt(np.maximum(graph.sum(axis=1), 1))
    normalised = LinearOperator(
        graph.shape, lambda signal: scale * (graph @ (scale * signal.ravel())), dtype=float
    )
    start = np.random.default_rng(params.seed).standard_normal(cells)
    values, vectors = eigsh(normalised, params.eigenvectors, which="LA", v0=start, tol=LANCZOS_TOLERANCE)
    return np.clip(1 - values[::-1], 0, None), vectors[:, ::-1]
