"""Clusters of the images of a class: planted ones are found, validation images are not looked at."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from approaches.cam_seg import subcategories
from approaches.cam_seg.recipe import SubcategoryParams
from approaches.cam_seg.subcategories import (
    assign_subcategories,
    find_subcategories,
    load_subcategories,
    save_subcategories,
)
from common.errors import DataError

SMALL = SubcategoryParams(clusters=3, starts=3)


def planted(count: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features round three far centres, labels of four classes (the last without images), and the centre of each."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, count)
    features = rng.normal(size=(count, 5)) * [1, 1, 1, 1, 100] + 30 * np.eye(5)[group]
    labels = rng.random((count, 4)) < [0.8, 0.5, 0.3, 0.0]
    return features.astype(np.float32), labels.astype(np.uint8), group


def test_planted_clusters_are_found_in_each_class() -> None:
    features, labels, group = planted()
    known = find_subcategories(features, labels, np.arange(60), SMALL)
    found = assign_subcategories(features, labels, known).reshape(90, 4, 3)
    for class_id in range(3):
        members = labels[:, class_id] > 0
        pairs = {
            (int(g), int(c)) for g, c in zip(group[members], found[members, class_id].argmax(1), strict=True)
        }
        assert len(pairs) == 3, "a cluster for each planted group, also for images that were not looked at"


def test_sub_classes_reproduce_the_labels() -> None:
    features, labels, _ = planted()
    found = assign_subcategories(features, labels, find_subcategories(features, labels, np.arange(60), SMALL))
    assert found.shape == (90, 12)
    np.testing.assert_array_equal(found.reshape(90, 4, 3).sum(2), labels)


def test_it_is_scaling_and_k_means_of_scikit_learn() -> None:
    features, labels, _ = planted()
    known = find_subcategories(features, labels, np.arange(90), SMALL)
    found = assign_subcategories(features, labels, known).reshape(90, 4, 3)
    members = labels[:, 0] > 0
    scaled = StandardScaler().fit_transform(features[members].astype(float))
    expected = KMeans(3, n_init=3, random_state=0).fit_predict(scaled)
    pairs = set(zip(expected.tolist(), found[members, 0].argmax(1).tolist(), strict=True))
    assert len(pairs) == 3
    np.testing.assert_allclose(known.mean[0], features[members].mean(0), rtol=1e-4)


def test_images_of_other_folds_change_nothing() -> None:
    features, labels, _ = planted()
    rows = np.arange(60)
    expected = find_subcategories(features, labels, rows, SMALL)
    features[60:] = 1e6
    found = find_subcategories(features, labels, rows, SMALL)
    np.testing.assert_array_equal(found.centres, expected.centres)
    np.testing.assert_array_equal(found.mean, expected.mean)


def test_classes_of_few_images_have_fewer_clusters_and_of_none_their_first() -> None:
    features = np.array([[0.0, 1], [9, 1], [8, 1]], np.float32)
    labels = np.array([[1, 0], [1, 0], [0, 1]], np.uint8)
    known = find_subcategories(features, labels, np.array([0, 1]), SMALL)
    np.testing.assert_array_equal(np.isnan(known.centres[..., 0]).sum(1), [1, 3])
    found = assign_subcategories(features, labels, known)
    np.testing.assert_array_equal(found, [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]])


def test_blocks_and_a_sample_of_images_give_the_same_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, group = planted(400)
    rows = np.arange(400)
    whole = find_subcategories(features, labels, rows, SMALL)
    expected = assign_subcategories(features, labels, whole)
    monkeypatch.setattr(subcategories, "BLOCK", 7)
    np.testing.assert_array_equal(assign_subcategories(features, labels, whole), expected)
    few = find_subcategories(features, labels, rows, SMALL.model_copy(update={"most_images": 50}))
    clusters = assign_subcategories(features, labels, few).reshape(400, 4, 3)[:, 0]
    members = labels[:, 0] > 0
    assert len(set(zip(group[members].tolist(), clusters[members].argmax(1).tolist(), strict=True))) == 3


def test_without_scaling_a_wide_feature_decides() -> None:
    features, labels, _ = planted(300)
    known = find_subcategories(features, labels, np.arange(300), SMALL.model_copy(update={"scale": False}))
    found = assign_subcategories(features, labels, known).reshape(300, 4, 3)[:, 0]
    members = labels[:, 0] > 0
    order = np.argsort(features[members, 4])
    changes = np.count_nonzero(np.diff(found[members].argmax(1)[order]))
    assert changes < 10


def test_clusters_come_back_from_their_file(tmp_path: Path) -> None:
    features, labels, _ = planted()
    known = find_subcategories(features, labels, np.arange(60), SMALL)
    save_subcategories(known, tmp_path / "clusters.safetensors")
    again = load_subcategories(tmp_path / "clusters.safetensors")
    np.testing.assert_array_equal(again.centres, known.centres)
    with pytest.raises(DataError, match="no such file"):
        load_subcategories(tmp_path / "other")


def test_features_that_are_not_finite_are_refused() -> None:
    features, labels, _ = planted()
    features[np.flatnonzero(labels[:, 1])[0], 0] = np.nan
    with pytest.raises(DataError, match="are not finite"):
        find_subcategories(features, labels, np.arange(90), SMALL)
