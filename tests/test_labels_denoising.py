"""Graphs of look-alike cells and the labels they smooth: by hand, by property, against independent solutions."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import laplacian
from sklearn.neighbors import BallTree

from common.errors import DataError
from common.labels.denoising import Denoised, DenoisingParams, candidates, denoise, mine, soft
from common.labels.graph import GraphParams, connect, nearest, smooth_signals

SMALL = GraphParams(neighbours=8, eigenvectors=12)


def blobs(cells: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (N, 16) of four overlapping kinds of cells, and the kind of each."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 4, cells)
    return rng.normal(size=(4, 16))[kinds] * 1.2 + rng.normal(size=(cells, 16)), kinds


def noisy_labels(kinds: np.ndarray, seed: int = 0) -> np.ndarray:
    """Soft labels (N, 4) in [0, 1]; a fifth of the cells say the wrong kind."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(kinds)) < 0.2, rng.integers(0, 4, len(kinds)), kinds)
    return np.clip(np.eye(4)[said] * 0.8 + rng.random((len(kinds), 4)) * 0.2, 0, 1)


def same_sets(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool((np.sort(found, axis=1) == np.sort(expected, axis=1)).all())


def test_neighbours_agree_with_a_ball_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.labels.graph.BLOCK_VALUES", 10_000)
    monkeypatch.setattr("common.labels.graph.BLOCK_ROWS", 7)  # several blocks, the last one shorter
    embeddings, _ = blobs(300)
    expected = BallTree(embeddings).query(embeddings, 8, return_distance=False)
    assert same_sets(nearest(embeddings, SMALL), expected)


def test_many_cells_find_most_true_neighbours_in_few_lists() -> None:
    embeddings, _ = blobs(4000)
    exact = nearest(embeddings, SMALL)
    few = SMALL.model_copy(update={"exact_up_to": 0, "list_cells": 100, "probes": 12})
    found = nearest(embeddings, few)
    assert all(row in of_row for row, of_row in enumerate(found))
    assert all(len(set(of_row)) == 8 for of_row in found)
    hits = np.mean([len(np.intersect1d(a, b)) / 8 for a, b in zip(exact, found, strict=True)])
    assert hits > 0.8
    every = few.model_copy(update={"probes": 40})  # all lists: nothing can be missed
    assert same_sets(nearest(embeddings, every), exact)


def test_half_precision_is_enough_for_neighbours() -> None:
    embeddings, _ = blobs(300)
    exact, half = nearest(embeddings, SMALL), nearest(embeddings.astype(np.float16), SMALL)
    assert np.mean([len(np.intersect1d(a, b)) / 8 for a, b in zip(exact, half, strict=True)]) > 0.99


def test_embeddings_that_cannot_be_compared_are_refused() -> None:
    embeddings, _ = blobs(20)
    with pytest.raises(DataError, match="8 cells have embeddings, too few"):
        nearest(embeddings[:8], SMALL)
    embeddings[3, 2] = np.inf
    with pytest.raises(DataError, match="NaN or infinity"):
        nearest(embeddings, SMALL)


def test_cells_are_joined_where_one_is_the_others_neighbour() -> None:
    graph = connect(np.array([[0, 1], [1, 2], [2, 1], [3, 0]], np.int32))
    assert graph.indices.dtype == graph.indptr.dtype == np.int32  # half the memory
    assert graph.toarray().tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]


def test_signals_are_those_of_the_dense_laplacian() -> None:
    embeddings, _ = blobs(200)
    graph = connect(nearest(embeddings, SMALL))
    values, vectors = smooth_signals(graph, SMALL)
    dense = laplacian(graph.toarray(), normed=True)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(dense)[:12], atol=1e-8)
    np.testing.assert_allclose(dense @ vectors, vectors * values, atol=1e-6)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-8)


def admm(vectors: np.ndarray, labels: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """argmin_a 1/2 |V a - y|^2 + |thresholds a|_1 for each column, by ADMM, as the published code solved it."""
    copy, dual = np.zeros((2, vectors.shape[1], labels.shape[1]))
    normal = vectors.T @ vectors + np.eye(vectors.shape[1])
    for _ in range(3000):
        coefficients = np.linalg.solve(normal, vectors.T @ labels + copy - dual)
        lifted = coefficients + dual
        copy = np.sign(lifted) * np.maximum(np.abs(lifted) - thresholds[:, None], 0)
        dual += coefficients - copy
    return copy


def choose_labels(given: np.ndarray, smooth: np.ndarray, corridor: float) -> np.ndarray:
    """The published Y-step: the better of two candidates, value by value."""
    upper, lower = np.maximum(smooth - corridor, given), np.maximum(0, np.minimum(smooth + corridor, given))
    costs = [0.5 * (z - smooth) ** 2 + corridor * np.abs(z - given) for z in (upper, lower)]
    return np.where(costs[0] < costs[1], upper, lower)


@pytest.mark.parametrize("weight", [0.001, 0.5])
def test_the_closed_forms_agree_with_admm(weight: float) -> None:
    embeddings, kinds = blobs(150)
    values, vectors = smooth_signals(connect(nearest(embeddings, SMALL)), SMALL)
    given = noisy_labels(kinds)
    found = denoise(given, (values, vectors), DenoisingParams(weight=weight), nothing=False)
    labels = given
    for _ in range(200):
        smooth = vectors @ admm(vectors, labels, weight * np.sqrt(values))
        moved = choose_labels(given, smooth, 0.12)
        settled = np.isclose(labels, moved, rtol=0.01).mean() >= 0.999
        labels = moved
        if settled:
            break
    np.testing.assert_allclose(found.smooth, smooth, atol=1e-6)
    np.testing.assert_allclose(found.labels, labels, atol=1e-6)


def test_the_label_step_is_a_corridor_round_the_smooth_label() -> None:
    rng = np.random.default_rng(0)
    given, smooth = rng.random((500, 3)), rng.normal(0.4, 0.4, (500, 3))
    closed = np.maximum(0, given + soft(smooth - given, 0.12))
    np.testing.assert_allclose(closed, choose_labels(given, smooth, 0.12), atol=1e-12)
    np.testing.assert_allclose(
        closed, np.maximum(0, smooth + np.clip(given - smooth, -0.12, 0.12)), atol=1e-12
    )


def test_denoising_mends_most_wrong_labels() -> None:
    embeddings, kinds = blobs(600)
    given = noisy_labels(kinds)
    found = denoise(given, smooth_signals(connect(nearest(embeddings, SMALL)), SMALL), DenoisingParams())
    wrong_before, wrong_after = (np.mean(y.argmax(axis=1) != kinds) for y in (given, found.smooth))
    assert wrong_before > 0.12
    assert wrong_after < 0.5 * wrong_before
    assert found.labels.min() >= 0
    assert np.abs(found.labels - np.maximum(found.smooth, 0)).max() < 0.12 + 0.02  # the last round's move


def test_a_column_of_nothing_changes_no_class() -> None:
    embeddings, kinds = blobs(200)
    signals = smooth_signals(connect(nearest(embeddings, SMALL)), SMALL)
    given = noisy_labels(kinds)
    with_it, without = (denoise(given, signals, DenoisingParams(), nothing) for nothing in (True, False))
    np.testing.assert_allclose(with_it.smooth, without.smooth, atol=0.01)


def test_unknown_labels_cannot_be_denoised() -> None:
    with pytest.raises(DataError, match="1 labels are unknown"):
        denoise(np.array([[np.nan, 1]]), (np.zeros(1), np.ones((1, 1))), DenoisingParams())


def test_candidates_were_low_and_are_near_the_highest() -> None:
    given = np.array([[0.39], [0.4], [0.1], [0.9]])
    labels = np.array([[0.46], [0.5], [0.45], [0.3]])
    assert candidates(given, Denoised(labels, labels), DenoisingParams()).ravel().tolist() == [1, 0, 0, 0]
    nothing = np.zeros((4, 1))
    assert not candidates(given, Denoised(nothing, nothing), DenoisingParams()).any()


def test_cells_with_three_known_neighbours_are_mined() -> None:
    graph = csr_array(np.array([[0, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]], float))
    known = np.array([[False], [True], [True], [True]])
    assert mine(graph, known, DenoisingParams()).ravel().tolist() == [True, False, False, False]
    assert not mine(graph, known & [[1], [1], [1], [0]], DenoisingParams()).any()
