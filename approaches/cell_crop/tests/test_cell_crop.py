"""The recipe's facts, the defects that were mended, and what happens with broken models."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from approaches.cell_crop import predicting
from approaches.cell_crop.dataset import CellCrops
from approaches.cell_crop.explain import explainable
from approaches.cell_crop.learning import train_fold
from approaches.cell_crop.origin import note_crops
from approaches.cell_crop.recipe import Recipe
from common.cells import cell_mask_path, measure_cells, read_mask
from common.classes import CLASSES, COLORS, PROBABILITIES
from common.classifier import build_network
from common.crops import CropParams, CropStore
from common.cutting import write_store
from common.errors import DataError, ParamsError
from common.images import Field, write_png
from common.losses.recipe import Bce, LossParams
from common.params import build, load_recipe
from common.recipes import Normalize
from common.schedules import ScheduleParams, WarmRestarts
from common.trained import load_trained, save_trained
from common.training_run import NoRun, Place

RECIPE = Path(__file__).parents[1] / "recipes/effb2_cell.yaml"


@pytest.fixture(scope="module")
def small() -> Recipe:
    recipe = load_recipe(Recipe, RECIPE, "demo")
    backbone = recipe.backbone.model_copy(update={"name": "test_resnet"})
    view = recipe.view.model_copy(update={"size_px": 32})
    trainer = recipe.trainer.model_copy(update={"epochs": 1, "batch_size": 4})
    steps = {"train": recipe.steps["train"].model_copy(update={"trainer": trainer})}
    return recipe.model_copy(update={"backbone": backbone, "view": view, "steps": steps})


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images a to d of two cells each; every pixel of the protein channel is 100."""
    folder = tmp_path_factory.mktemp("crops")
    mask = np.zeros((40, 40), np.uint16)
    mask[2:14, 2:20], mask[20:38, 10:30] = 1, 2
    tables = []
    for image_id in "abcd":
        write_png(folder / f"{image_id}_cell.png", mask)
        for color in COLORS:
            cv2.imwrite(
                str(folder / f"{image_id}_{color}.png"), np.full((40, 40), 100 + ord(image_id), np.uint8)
            )
        tables.append(measure_cells(image_id, mask, mask))
    fields = [Field(i, tuple(folder / f"{i}_{color}.png" for color in COLORS)) for i in "abcd"]
    write_store(fields, folder, pd.concat(tables), CropParams(field_px=40, margin_px=4), folder / "crops")
    return folder / "crops"


def labels_and_folds(crops: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    labels = CropStore(crops).index[["image_id", "cell_id"]].copy()
    labels[list(PROBABILITIES)] = 0.0
    labels["p_0"] = (labels["image_id"] < "c").astype(float)
    return labels, pd.DataFrame({"image_id": list("abcd"), "fold": [0, 1, 0, 1]})


def test_the_recipe_is_the_published_system() -> None:
    recipe = load_recipe(Recipe, RECIPE, "full")
    assert (recipe.backbone.name, recipe.backbone.pretrained) == ("efficientnet_b2", True)
    assert (recipe.view.size_px, recipe.view.square, recipe.view.mask, recipe.view.margin_px) == (
        260,
        "stretch",
        "own",
        0,
    )
    assert recipe.view.channels == ("microtubules", "protein", "nucleus")
    (step,) = recipe.steps.values()
    assert (step.optimizer.name, step.optimizer.lr, step.loss) == ("adam", 3e-4, LossParams(bce=Bce()))
    restarts = WarmRestarts(first_period=10, period_factor=1, lowest_lr=1e-6)
    assert step.schedule == ScheduleParams(warm_restarts=restarts)
    assert (step.trainer.batch_size, step.trainer.patience, step.trainer.monitor) == (32, 3, "val/loss")
    assert set(recipe.augment) == {"transpose", "hflip", "vflip"}


def test_a_misspelt_key_of_a_recipe_names_the_nearest() -> None:
    given = load_recipe(Recipe, RECIPE, "full").model_dump(mode="json")
    optimizer = given["steps"]["train"]["optimizer"]
    optimizer["learning_rat"] = optimizer.pop("lr")
    with pytest.raises(
        ParamsError,
        match=r"steps.train.optimizer.lr: is missing; .*optimizer.learning_rat: unknown key",
    ):
        build(Recipe, given, "effb2_cell.yaml: ")


def test_pixels_reach_the_network_as_they_are_stored(crops: Path, small: Recipe) -> None:
    data = CellCrops(CropStore(crops), np.array([0]), np.zeros((1, len(CLASSES))), small, small.view)
    pixels, targets, row = data[0]
    assert (pixels.shape, pixels.dtype, targets.shape, row) == ((3, 32, 32), torch.uint8, (19,), 0)
    assert pixels[:, 10, 10].tolist() == [100 + ord("a")] * 3


def test_pixels_of_16_bit_reach_it_as_shares_of_white(crops: Path, small: Recipe, tmp_path: Path) -> None:
    fields = [Field("a", tuple(crops.parent / f"a_{color}.png" for color in COLORS))]
    mask = read_mask(cell_mask_path(crops.parent, "a"))
    params = CropParams(field_px=40, margin_px=4, bit_depth=16)
    write_store(fields, crops.parent, measure_cells("a", mask, mask), params, tmp_path / "crops")
    view = small.view.model_copy(update={"bit_depth": 16})
    rows = np.arange(2)
    data = CellCrops(CropStore(tmp_path / "crops"), rows, np.zeros((len(rows), len(CLASSES))), small, view)
    assert data[0][0][:, 10, 10].tolist() == pytest.approx([(100 + ord("a")) / 255] * 3)


def test_augmented_pixels_depend_on_epoch_and_cell_only(crops: Path, small: Recipe) -> None:
    store, targets = CropStore(crops), np.zeros((8, len(CLASSES)))
    one, other = (CellCrops(store, np.arange(8), targets, small, small.view) for _ in range(2))
    assert all(bool((one[3, i][0] == other[3, i][0]).all()) for i in range(8))


def test_the_yellow_channel_is_one_line_of_the_recipe(small: Recipe) -> None:
    view = small.view.model_copy(update={"channels": ("microtubules", "protein", "nucleus", "reticulum")})
    normalize = Normalize(mean=(0.5,) * 4, std=(0.1,) * 4)
    network = build_network(small.model_copy(update={"view": view, "normalize": normalize}))
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == 4


def test_a_fold_is_trained_saved_and_read_again(crops: Path, small: Recipe, tmp_path: Path) -> None:
    train_fold(small, 0, crops, *labels_and_folds(crops), Place(tmp_path, tmp_path, NoRun()))
    network, recipe = load_trained(tmp_path, Recipe, partial(build_network, pretrained=False))
    assert recipe == small
    assert sum(p.numel() for p in network.parameters()) == sum(
        p.numel() for p in build_network(small).parameters()
    )
    assert list(pd.read_csv(tmp_path / "history.csv")["epoch"]) == [0]


def test_a_fold_without_labelled_cells_is_refused(crops: Path, small: Recipe, tmp_path: Path) -> None:
    labels, folds = labels_and_folds(crops)
    with pytest.raises(DataError, match="fold 1: no labelled cell for validation"):
        train_fold(small, 1, crops, labels, folds.assign(fold=0), Place(tmp_path, tmp_path, NoRun()))


def test_each_cell_is_predicted_by_the_fold_that_never_saw_its_image(
    crops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer_with_fold(model: Path, store: CropStore, rows: np.ndarray) -> np.ndarray:
        return np.full((len(rows), len(CLASSES)), int(model.name.removeprefix("fold-")) / 8, np.float32)

    monkeypatch.setattr(predicting, "predict_rows", answer_with_fold)
    folds = pd.DataFrame({"image_id": list("abc"), "fold": [0, 1, 2]})
    table = predicting.predict_out_of_fold(Path("models"), crops, folds)
    assert dict(zip(table["image_id"], table["p_5"], strict=True)) == {"a": 0.0, "b": 0.125, "c": 0.25}


def test_crops_cut_in_another_way_are_refused(crops: Path, small: Recipe, tmp_path: Path) -> None:
    save_trained(tmp_path, build_network(small), small)
    note_crops(tmp_path, CropParams(field_px=80, margin_px=4))
    with pytest.raises(ParamsError, match=r"trained on crops with field_px=80 .* these have field_px=40"):
        predicting.predict_rows(tmp_path, CropStore(crops), np.array([0]))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("normalize", "mean", [0.1]),
        ("normalize", "std", [0, 1, 1]),
        ("steps.train.trainer", "epochs", 0),
        ("steps.train.trainer", "batch_size", 0),
        ("steps.train.optimizer", "lr", -1),
        ("view", "size_px", 0),
        ("view", "channels", []),
    ],
)
def test_values_that_cannot_train_are_refused(section: str, key: str, value: object) -> None:
    given = load_recipe(Recipe, RECIPE, "full").model_dump(mode="json")
    place = given
    for part in section.split("."):
        place = place[part]
    place[key] = value
    with pytest.raises(ParamsError, match=key):
        build(Recipe, given, "effb2_cell.yaml")


def test_a_recipe_may_predict_other_views_than_it_trains_on(crops: Path, small: Recipe) -> None:
    given = small.model_dump(mode="json")
    given["predict_view"] = given["view"] | {"mask": "none"}
    recipe = build(Recipe, given, "recipe")
    assert (recipe.view.mask, recipe.seen_at_the_end.mask, small.seen_at_the_end.mask) == (
        "own",
        "none",
        "own",
    )
    given["predict_view"]["size_px"] = 7
    with pytest.raises(ParamsError, match="predict_view needs the channels, size_px and bit_depth of view"):
        build(Recipe, given, "recipe")


def test_a_view_of_more_than_is_stored_is_refused(crops: Path, small: Recipe) -> None:
    view = small.view.model_copy(update={"mask": "others", "margin_px": 5})
    with pytest.raises(ParamsError, match="view wants margin_px 5, the store keeps 4"):
        CellCrops(CropStore(crops), np.array([0]), np.zeros((1, len(CLASSES))), small, view)


def test_the_crop_of_each_cell_is_explained(crops: Path, small: Recipe, tmp_path: Path) -> None:
    save_trained(tmp_path / "fold-0", build_network(small), small)
    note_crops(tmp_path / "fold-0", CropStore(crops).params)
    given = explainable(tmp_path, crops.parent)
    pictures = list(given.pictures)
    assert [(picture.image_id, *picture.ids) for picture in pictures] == [
        (i, k) for i in "abcd" for k in (1, 2)
    ]
    assert given.network(pictures[0].pixels[None]).shape == (1, len(CLASSES))
    assert given.layer in list(given.network.modules())
