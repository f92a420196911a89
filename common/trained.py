"""Trained networks on disk: a folder a fold, ``model.safetensors`` beside the ``recipe.json`` that it was made by."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from common.errors import DataError, MissingWeightsError
from common.params import Params, build

R = TypeVar("R", bound=Params)
N = TypeVar("N", bound=nn.Module)


def save_trained(folder: Path, network: nn.Module, recipe: Params) -> None:
    """Write a trained network and its recipe at the scale it was trained at."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: values.contiguous() for name, values in network.state_dict().items()}  # any layout
    save_file(weights, folder / "model.safetensors")
    save_recipe(folder, recipe)


def save_recipe(folder: Path, recipe: Params) -> None:
    """Write the recipe of a trained fold."""
    (folder / "recipe.json").write_text(recipe.model_dump_json(indent=1) + "\n")


def load_trained(folder: Path, kind: type[R], build_network: Callable[[R], N]) -> tuple[N, R]:
    """Read what ``save_trained`` wrote.

    Args:
        build_network: makes the network of a recipe, without any weights.

    Raises:
        MissingWeightsError: there is no trained model.
        DataError: the weights are damaged or of another network.
    """
    recipe = read_recipe(folder, kind)
    network = build_network(recipe)
    _load_weights(network, folder, "does not fit its recipe", "train this fold again")
    return network, recipe


def start_from(network: nn.Module, folder: Path) -> None:
    """Give a network the weights of a trained fold, be it of another recipe with the same network.

    Raises:
        MissingWeightsError: there is no trained model.
        DataError: it is of another network, or damaged.
    """
    alike = "backbone, extra_stem_pool, head and number of channels"
    _load_weights(
        network, folder, "does not fit the recipe that starts from it", f"give both the same {alike}"
    )


def _load_weights(network: nn.Module, folder: Path, fault: str, remedy: str) -> None:
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise MissingWeightsError(f"{folder}: holds no trained model; {advice(folder.parent)}")
    try:
        network.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise DataError(f"{weights}: {fault} ({' '.join(str(error).split())[:200]}); {remedy}") from None


def read_recipe(folder: Path, kind: type[R]) -> R:
    """The recipe of a trained fold.

    Raises:
        MissingWeightsError: there is no trained model.
    """
    settings = folder / "recipe.json"
    if not settings.is_file():
        raise MissingWeightsError(f"{folder}: holds no trained model; {advice(folder.parent)}")
    return build(kind, json.loads(settings.read_text()), str(settings))


def recipe_of(models: Path, kind: type[R]) -> R:
    """The recipe that all folds of ``models`` were trained by.

    Raises:
        MissingWeightsError: there is no trained fold.
    """
    return read_recipe(trained_folds(models)[0], kind)


def refuse_other_folds(models: Path, folds: set[int]) -> None:
    """Refuse models of folds that are no more, which would otherwise be averaged in.

    Raises:
        DataError: names them.
    """
    known = {f"fold-{k}" for k in folds}
    if others := [path for path in sorted(models.glob("fold-*")) if path.name not in known]:
        raise DataError(f"{others[0]}: is of a fold that is not in data/folds.parquet; delete that folder")


def trained_folds(models: Path) -> list[Path]:
    """The fold folders of a recipe's models.

    Raises:
        MissingWeightsError: there is none.
    """
    folds = sorted(models.glob("fold-*"))
    if not folds:
        raise MissingWeightsError(f"{models}: holds no trained fold; {advice(models)}")
    return folds


def advice(models: Path) -> str:
    """How to train the recipe whose folds lie in ``models``: .../<approach>/<recipe>."""
    return f"run: dvc repro approaches/{models.parent.name}/dvc.yaml"
