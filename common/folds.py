"""Cross-validation parts: multilabel stratified, and grouped so that no near-copy is in two of them."""

import numpy as np
import pandas as pd
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.classes import CLASSES
from common.errors import DataError, ParamsError
from common.params import Params


class FoldParams(Params):
    """The section ``folds`` of params.yaml."""

    ids: tuple[int, ...]
    """0, 1, ... one number a fold."""
    seed: int = Field(ge=0)


def group_images(images: pd.DataFrame) -> np.ndarray:
    """Number the groups of images that share a sample or a duplicate cluster, directly or through others: (N,)."""
    sample, _ = pd.factorize(images["sample_id"])
    duplicate, _ = pd.factorize(images["duplicate_group"])
    samples = len(set(sample))
    nodes = samples + len(set(duplicate))
    graph = coo_array((np.ones(len(images)), (sample, samples + duplicate)), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    groups: np.ndarray = component[sample]
    return groups


def assign_folds(images: pd.DataFrame, params: FoldParams) -> pd.DataFrame:
    """Deal the training images out to folds: image_id, fold.

    Whole groups are dealt by iterative stratification (Sechidis et al. 2011), a group having the labels of all its
    images, so that each fold gets its share of every class.

    Raises:
        DataError: fewer groups than folds, or fewer than two folds.
    """
    train = images[images["split"] == "train"].reset_index(drop=True)
    folds = len(params.ids)
    groups = pd.Series(group_images(train))
    if params.ids != tuple(range(folds)) or folds < 2:
        raise ParamsError(
            f"params.yaml: folds.ids is {list(params.ids)}, expected 0, 1, ... for at least two folds"
        )
    if train.empty:
        raise DataError("data/images: no training image; unlabelled images of your own are for: hpa predict")
    if groups.nunique() < folds:
        raise DataError(
            f"data/images: the {len(train)} training images form {groups.nunique()} groups of one sample or of "
            f"duplicates, fewer than {folds} folds; shorten folds.ids in params.yaml or add images"
        )
    multi_hot = np.zeros((len(train), len(CLASSES)), int)
    for row, labels in enumerate(train["labels"]):
        multi_hot[row, list(labels)] = 1
    by_group = pd.DataFrame(multi_hot).groupby(groups).max()
    splitter = MultilabelStratifiedKFold(n_splits=folds, shuffle=True, random_state=params.seed)
    fold_of_group = pd.Series(-1, index=by_group.index)
    for fold, (_, members) in enumerate(splitter.split(by_group, by_group)):
        fold_of_group.iloc[members] = fold
    return pd.DataFrame({"image_id": train["image_id"], "fold": groups.map(fold_of_group)})
