"""Folds: near-copies stay together, and every class is shared out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.classes import CLASSES, parse_labels
from common.errors import DataError, ParamsError
from common.folds import FoldParams, assign_folds, group_images

THREE = FoldParams(ids=(0, 1, 2), seed=0)


def images_of(samples: list[int], duplicates: list[int], labels: list[list[int]]) -> pd.DataFrame:
    ids = [f"i{number}" for number in range(len(samples))]
    return pd.DataFrame(
        {
            "image_id": ids,
            "sample_id": [f"s{sample}" for sample in samples],
            "duplicate_group": [f"d{duplicate}" for duplicate in duplicates],
            "labels": labels,
            "split": "train",
        }
    )


def random_images(count: int, seed: int) -> pd.DataFrame:
    """Samples of one to six images with common labels, some duplicates, classes from common to rare."""
    rng = np.random.default_rng(seed)
    samples = np.repeat(np.arange(count), rng.integers(1, 7, count))[:count]
    duplicates = np.where(rng.random(count) < 0.05, rng.integers(0, count, count), count + np.arange(count))
    chances = 0.5 ** np.arange(1, 7)
    of_sample = [np.flatnonzero(rng.random(6) < chances).tolist() or [6] for _ in range(count)]
    return images_of(samples.tolist(), duplicates.tolist(), [of_sample[sample] for sample in samples])


def slow_groups(images: pd.DataFrame) -> list[set[str]]:
    """Merges sets of images until none shares a sample or a duplicate group with another."""
    groups: list[tuple[set[str], set[str]]] = []
    for image_id, *keys in images[["image_id", "sample_id", "duplicate_group"]].itertuples(index=False):
        near = [group for group in groups if group[1] & set(keys)]
        groups = [group for group in groups if not group[1] & set(keys)]
        groups.append(({image_id}.union(*(g[0] for g in near)), set(keys).union(*(g[1] for g in near))))
    return [ids for ids, _ in groups]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=25))
def test_groups_are_those_of_repeated_merging(keys: list[tuple[int, int]]) -> None:
    images = images_of([s for s, _ in keys], [d for _, d in keys], [[0]] * len(keys))
    found = images.groupby(group_images(images))["image_id"].agg(set).tolist()
    assert sorted(map(sorted, found)) == sorted(map(sorted, slow_groups(images)))


@settings(max_examples=40, deadline=None)
@given(st.integers(30, 120), st.integers(2, 5), st.integers(0, 10_000))
def test_no_group_straddles_folds_and_none_is_empty(count: int, folds: int, seed: int) -> None:
    images = random_images(count, seed)
    groups = slow_groups(images)
    assume(len(groups) >= 2 * folds)
    fold = assign_folds(images, FoldParams(ids=tuple(range(folds)), seed=seed)).set_index("image_id")["fold"]
    assert list(fold.index) == list(images["image_id"])
    assert set(fold) == set(range(folds))
    assert all(fold[list(group)].nunique() == 1 for group in groups)


def test_every_class_is_shared_out_to_the_folds() -> None:
    images = random_images(1500, seed=4)
    table = assign_folds(images, THREE)
    shows = pd.DataFrame([np.isin(np.arange(6), labels) for labels in images["labels"]])
    shares = shows.groupby(table["fold"].to_numpy()).sum() / shows.sum()
    assert shares.min().min() > 0.25
    assert shares.max().max() < 0.42


def test_a_seed_decides_the_folds() -> None:
    images = random_images(200, seed=1)
    once, again = assign_folds(images, THREE), assign_folds(images, THREE)
    other = assign_folds(images, FoldParams(ids=(0, 1, 2), seed=1))
    pd.testing.assert_frame_equal(once, again)
    assert (once["fold"] != other["fold"]).any()


def test_test_images_get_no_fold_but_tie_no_groups_either() -> None:
    images = images_of([0, 1, 2, 3], [0, 0, 2, 3], [[0], [0], [1], [1]])
    images.loc[3, "split"] = "test"
    folds = assign_folds(images, FoldParams(ids=(0, 1), seed=0))
    assert list(folds["image_id"]) == ["i0", "i1", "i2"]
    assert folds["fold"][0] == folds["fold"][1] != folds["fold"][2]


def test_fewer_groups_than_folds_are_refused_with_advice() -> None:
    images = images_of([0, 0, 1, 2], [0, 1, 2, 2], [[0]] * 4)
    with pytest.raises(
        DataError, match=r"4 training images form 2 groups .* fewer than 3 folds; shorten folds.ids"
    ):
        assign_folds(images, THREE)


@pytest.mark.parametrize("ids", [(), (0,), (1, 2), (0, 2), (0, 0)])
def test_fold_ids_count_from_zero(ids: tuple[int, ...]) -> None:
    with pytest.raises(ParamsError, match=r"folds.ids is .* expected 0, 1, ... for at least two folds"):
        assign_folds(random_images(30, 0), FoldParams(ids=ids, seed=0))


@pytest.fixture(scope="module")
def real(shared: Path) -> pd.DataFrame:
    """The competition's images and labels with its known near-duplicate pairs."""
    labels = pd.read_csv(shared / "data/labels/kaggle2021_train.csv")
    pairs = pd.read_csv(shared / "data/labels/samusram_duplicates.csv")
    number = pd.Series(range(len(labels)), index=labels["ID"])
    pairs = pairs[pairs["a"].isin(labels["ID"]) & pairs["b"].isin(labels["ID"])]
    ends = (number[pairs["a"]].to_numpy(), number[pairs["b"]].to_numpy())
    graph = coo_array((np.ones(len(pairs)), ends), shape=(len(labels), len(labels)))
    clusters = connected_components(graph, directed=False)[1]
    parsed = [list(parse_labels(text)) for text in labels["Label"]]
    images = images_of(list(range(len(labels))), clusters.tolist(), parsed)
    return images.assign(image_id=labels["ID"])


def test_the_competitions_images_are_shared_out_within_a_few_percent(real: pd.DataFrame) -> None:
    table = assign_folds(real, FoldParams(ids=(0, 1, 2, 3, 4), seed=0))
    multi_hot = pd.DataFrame([np.isin(np.arange(len(CLASSES)), labels) for labels in real["labels"]])
    counts = multi_hot.groupby(table["fold"].to_numpy()).sum()
    off = (counts - counts.mean()).abs()
    assert (off.max() <= np.maximum(0.05 * counts.mean(), 2)).all()
    assert table["fold"].value_counts().between(21_806 / 5 * 0.97, 21_806 / 5 * 1.03).all()
    assert (table["fold"].groupby(real["duplicate_group"]).nunique() == 1).all()
    assert real["duplicate_group"].duplicated().sum() > 500  # the pairs are those of these images
