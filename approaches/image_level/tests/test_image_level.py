"""Whole images: the published recipes, training, and tables of cells and images."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from approaches.image_level import predicting
from approaches.image_level.explain import explainable
from approaches.image_level.learning import train_fold
from approaches.image_level.recipe import Recipe
from common.cells import measure_cells
from common.classes import CLASSES, COLORS, PROBABILITIES
from common.classifier import build_network
from common.errors import DataError, ParamsError
from common.field_data import Inputs, LabelledImages, Part
from common.fields import FieldParams, FieldStore
from common.images import Field, write_png
from common.losses.recipe import Focal, HardLog, Lovasz
from common.params import load_recipe
from common.postprocess import Postprocess
from common.predictions import check_image_predictions, check_predictions
from common.publishing import finished
from common.reducing import write_fields
from common.schedules import ADAM10
from common.training_run import NoRun, Place

RECIPES = Path(__file__).parents[1] / "recipes"
IDS = list("abcd")


@pytest.fixture(autouse=True, scope="module")
def serial() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPA_PARALLEL", "serial")


@pytest.fixture(scope="module", params=["image_multilabel", "denoise_densenet_image"])
def small(request: pytest.FixtureRequest) -> Recipe:
    given = load_recipe(Recipe, RECIPES / f"{request.param}.yaml", "demo").model_dump(mode="json")
    given["view"]["size_px"] = 32
    given["backbone"]["name"] = "test_resnet"
    for step in given["steps"].values():
        step["trainer"] |= {"epochs": 1, "batch_size": 2, "precision": "32-true"}
    return Recipe.model_validate_json(json.dumps(given))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Images a to d: two cells in a, b and c, none in d."""
    folder = tmp_path_factory.mktemp("images")
    rng, tables = np.random.default_rng(0), []
    for image_id in IDS:
        mask = np.zeros((48, 48), np.uint16)
        if image_id != "d":
            mask[2:20, 2:20], mask[25:46, 10:40] = 1, 2
        write_png(folder / f"{image_id}_cell.png", mask)
        for color in COLORS:
            cv2.imwrite(str(folder / f"{image_id}_{color}.png"), rng.integers(0, 200, (48, 48), np.uint8))
        tables.append(measure_cells(image_id, mask, mask))
    fields = [Field(i, tuple(folder / f"{i}_{color}.png" for color in COLORS)) for i in IDS]
    write_fields(fields, FieldParams(field_px=48), folder / "fields")
    return Inputs(FieldStore(folder / "fields"), folder, pd.concat(tables[:3], ignore_index=True))


def labels_and_folds() -> tuple[pd.DataFrame, pd.DataFrame]:
    labels = pd.DataFrame(0.0, index=range(4), columns=list(PROBABILITIES))
    labels["p_0"] = [1.0, 1.0, 0.0, 0.0]
    labels.insert(0, "image_id", IDS)
    return labels, pd.DataFrame({"image_id": IDS, "fold": [0, 1, 0, 1]})


@pytest.fixture(scope="module")
def models(small: Recipe, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for fold in (0, 1):
        place = Place(folder / f"fold-{fold}", folder / "scratch", NoRun())
        train_fold(small, fold, inputs.fields.folder, *labels_and_folds(), place)
    return folder


def test_image_multilabel_is_system_e() -> None:
    recipe = load_recipe(Recipe, RECIPES / "image_multilabel.yaml", "full")
    step = recipe.steps["train"]
    assert (recipe.backbone.name, recipe.view.size_px) == ("tf_efficientnet_b0", 1024)
    assert recipe.view.channels == ("microtubules", "protein", "nucleus")
    assert (step.optimizer.name, step.optimizer.lr, step.optimizer.weight_decay) == ("adamw", 6e-4, 1e-5)
    assert (step.trainer.batch_size, step.trainer.epochs, step.trainer.monitor) == (16, 5, "val/loss")
    logits, targets = torch.randn(4, 19), torch.randint(0, 2, (4, 19)).float()
    half = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets) / 2
    torch.testing.assert_close(step.loss(logits, targets), half)


def test_denoise_densenet_image_is_the_first_half_of_system_a() -> None:
    recipe = load_recipe(Recipe, RECIPES / "denoise_densenet_image.yaml", "full")
    assert (recipe.backbone.name, recipe.extra_stem_pool) == ("densenet121", True)
    coarse, fine = recipe.steps["coarse"], recipe.steps["fine"]
    assert [step.trainer.accumulate for step in (coarse, fine)] == [200, 20]
    assert [step.trainer.epochs for step in (coarse, fine)] == [10, 10]
    for step, multiplier in ((coarse, 4), (fine, 0.3)):
        assert step.schedule.table is not None
        assert step.schedule.table.table == ADAM10
        assert step.optimizer.lr == pytest.approx(1e-5 * multiplier)
        assert (step.trainer.batch_size, step.trainer.clip_norm, step.trainer.monitor) == (8, 1, "val/map")
        assert step.loss.focal == Focal(weight=0.5)
        assert step.loss.lovasz == Lovasz(weight=0.5)
        assert step.loss.hard_log == HardLog(weight=0.5)
    assert recipe.postprocess.negative == "one_minus_max"


def test_the_published_network_of_system_a_has_its_size() -> None:
    given = load_recipe(Recipe, RECIPES / "denoise_densenet_image.yaml", "full")
    network = build_network(given, pretrained=False)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(6.96 + 2.13, abs=0.05)


def test_augmented_pixels_depend_on_epoch_and_image_only(inputs: Inputs, small: Recipe) -> None:
    targets = np.zeros((4, len(CLASSES)))
    one, other = (LabelledImages(inputs.fields, Part(np.arange(4), targets), small) for _ in range(2))
    assert all(torch.equal(one[3, i][0], other[3, i][0]) for i in range(4))
    assert any(not torch.equal(one[3, i][0], one[4, i][0]) for i in range(4))
    assert [one.name(row) for row in range(4)] == IDS


def test_the_last_step_goes_on_from_the_first(models: Path, small: Recipe) -> None:
    history = pd.read_csv(models / "fold-0" / "history.csv")
    assert list(history["step"]) == list(small.steps)
    assert list(history["epoch"]) == list(range(len(small.steps)))


def test_every_cell_and_every_image_is_predicted_out_of_fold_and_by_all_folds(
    models: Path, small: Recipe, inputs: Inputs
) -> None:
    oof = predicting.predict_out_of_fold(models, inputs, labels_and_folds()[1])
    seen_by_all = predicting.predict_unseen(models, inputs, set(IDS))
    nothing = predicting.predict_unseen(models, inputs, set())
    assert (len(nothing.cells), len(nothing.images)) == (0, 0)
    for found in (oof, seen_by_all):
        check_predictions(found.cells, "here", inputs.cells)
        check_image_predictions(found.images, "here", IDS)
    apart = [predicting.predict_fold(models / f"fold-{fold}", inputs, np.array([1])) for fold in (0, 1)]
    columns = list(PROBABILITIES)
    b = oof.cells[oof.cells["image_id"] == "b"]
    np.testing.assert_allclose(b[columns], apart[1].cells[columns], atol=1e-6)
    mean = (apart[0].cells[columns].to_numpy() + apart[1].cells[columns].to_numpy()) / 2
    together = seen_by_all.cells[seen_by_all.cells["image_id"] == "b"]
    np.testing.assert_allclose(together[columns], mean, atol=1e-6)
    if small.embeddings:
        assert oof.embeddings is not None
        assert oof.embeddings.shape == (len(inputs.cells), build_network(small).embedding_size)
        assert oof.embeddings.std() > 0
    else:
        assert oof.embeddings is None


def test_the_negative_class_follows_the_recipe_s_rule(models: Path, inputs: Inputs) -> None:
    rule = Postprocess(negative="one_minus_max")
    raw = predicting.predict_fold(models / "fold-0", inputs, np.arange(3))
    for table in finished(raw.predictions, inputs.cells, rule):
        assert table is not None
        found = table[list(PROBABILITIES)].to_numpy()
        np.testing.assert_allclose(found[:, 18], 1 - found[:, :18].max(axis=1), atol=1e-6)


def test_a_fold_without_labelled_images_is_refused(inputs: Inputs, small: Recipe, tmp_path: Path) -> None:
    labels, folds = labels_and_folds()
    with pytest.raises(DataError, match="fold 1: no labelled image for validation"):
        train_fold(
            small, 1, inputs.fields.folder, labels, folds.assign(fold=0), Place(tmp_path, tmp_path, NoRun())
        )


def test_a_view_that_the_store_does_not_keep_is_refused(inputs: Inputs, small: Recipe) -> None:
    view = small.view.model_copy(update={"size_px": 64})
    with pytest.raises(
        ParamsError, match="the recipe's view wants size_px 64, the store keeps fields of 48 px"
    ):
        LabelledImages(
            inputs.fields, Part(np.arange(4), np.zeros((4, 19))), small.model_copy(update={"view": view})
        )


def test_what_is_explained_is_what_the_scorer_shows_the_network(
    models: Path, inputs: Inputs, small: Recipe, tmp_path: Path
) -> None:
    for name in ("masks", "fields"):
        (tmp_path / name).symlink_to(inputs.masks / ("fields" if name == "fields" else ""))
    inputs.cells.to_parquet(tmp_path / "cells.parquet")
    given = explainable(models, tmp_path)
    pictures = list(given.pictures)
    alone = small.cells.scorer in ("alone", "tiled")
    assert [list(picture.ids) for picture in pictures] == ([[1], [2]] if alone else [[1, 2]]) * 3
    pixels = pictures[0].pixels[None]
    assert given.maps["CAM"](pixels).shape[1] == given.network(pixels).shape[1] == len(CLASSES)
    assert given.layer in list(given.network.modules())
