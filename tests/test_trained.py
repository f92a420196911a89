"""Trained networks on disk: read as written, refused where they are absent, damaged or of another network."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from common.errors import DataError, MissingWeightsError
from common.params import Params
from common.trained import load_trained, refuse_other_folds, save_trained, trained_folds


class Recipe(Params):
    """The number of inputs."""

    inputs: int


def build_network(recipe: Recipe) -> nn.Module:
    return nn.Linear(recipe.inputs, 2)


def test_a_network_is_read_as_it_was_written(tmp_path: Path) -> None:
    network = build_network(Recipe(inputs=3))
    save_trained(tmp_path / "fold-0", network, Recipe(inputs=3))
    found, recipe = load_trained(tmp_path / "fold-0", Recipe, build_network)
    assert recipe == Recipe(inputs=3)
    for name, weights in network.state_dict().items():
        assert torch.equal(found.state_dict()[name], weights)


def test_a_network_in_another_layout_is_saved(tmp_path: Path) -> None:
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_trained(tmp_path, network, Recipe(inputs=3))
    found, _ = load_trained(tmp_path, Recipe, lambda recipe: nn.Conv2d(3, 4, 3))
    assert torch.equal(found.weight, network.weight)


def test_absent_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    fold = tmp_path / "cell_crop" / "some_recipe" / "fold-0"
    with pytest.raises(
        MissingWeightsError, match=r"holds no trained model; run: dvc repro approaches/cell_crop/dvc.yaml"
    ):
        load_trained(fold, Recipe, build_network)
    save_trained(fold, build_network(Recipe(inputs=3)), Recipe(inputs=3))
    (fold / "recipe.json").write_text(json.dumps({"inputs": 4}))
    with pytest.raises(DataError, match="does not fit its recipe"):
        load_trained(fold, Recipe, build_network)
    (fold / "model.safetensors").write_bytes(b"rotten")
    with pytest.raises(DataError, match="does not fit its recipe"):
        load_trained(fold, Recipe, build_network)


def test_models_of_folds_that_are_no_more_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="holds no trained fold"):
        trained_folds(tmp_path)
    for fold in range(3):
        (tmp_path / f"fold-{fold}").mkdir()
    assert [path.name for path in trained_folds(tmp_path)] == ["fold-0", "fold-1", "fold-2"]
    refuse_other_folds(tmp_path, {0, 1, 2})
    with pytest.raises(DataError, match=r"fold-2: is of a fold that is not in data/folds.parquet; delete"):
        refuse_other_folds(tmp_path, {0, 1})
