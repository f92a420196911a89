"""The two recipes whose idea is that the label is the problem: their published facts, members and starting weights."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from approaches.cell_crop import predicting
from approaches.cell_crop.learning import train_fold
from approaches.cell_crop.origin import find_start
from approaches.cell_crop.recipe import Recipe
from approaches.cell_crop.tests.test_cell_crop import crops, labels_and_folds  # noqa: F401
from common.classifier import Head, build_network
from common.crops import CropStore
from common.drawing import quotas_of
from common.errors import DataError, ParamsError
from common.labels.build import read_sources
from common.labels.lookalikes import Denoise
from common.labels.sources import AutoNegative, Pseudo
from common.losses.recipe import Bce, Focal, HardLog, HardLogSymmetric, LossParams, Lovasz
from common.params import build, load_recipe, read_yaml, recipe_values
from common.quality import Weights
from common.schedules import ADAM10
from common.trained import load_trained, save_trained
from common.training_run import NoRun, Place

FOLDER = Path(__file__).parents[1]
B, A = (FOLDER / f"recipes/{name}.yaml" for name in ("datacentric_b0", "denoise_densenet_cell"))


def made_small(path: Path) -> Recipe:
    given = load_recipe(Recipe, path, "demo").model_dump(mode="json")
    for each in (given, *given["members"].values()):
        if each["view"]:
            each["view"] |= {"size_px": 32, "margin_px": 0}
    given["backbone"] |= {"name": "test_resnet", "pretrained": False}
    for step in given["steps"].values():
        step["trainer"] |= {"epochs": 1, "batch_size": 4, "precision": "32-true"}
    first = given["steps"][next(iter(given["steps"]))]
    if given["members"]:
        first["trainer"]["epochs"] = 4  # as many as an ensemble keeps
        first["sampler"]["quotas"]["unit"] = 2
    return build(Recipe, given, str(path))


def with_source(labels: pd.DataFrame) -> pd.DataFrame:
    return labels.assign(source="image")


def test_datacentric_b0_is_system_b() -> None:
    recipe = load_recipe(Recipe, B, "full")
    assert (recipe.backbone.name, recipe.view.size_px, recipe.view.margin_px) == ("efficientnet_b0", 512, 8)
    assert set(recipe.normalize.mean) == {0}
    assert set(recipe.normalize.std) == {1}
    train, graded = recipe.steps["train"], recipe.steps["graded"]
    assert (train.optimizer.lr, graded.optimizer.lr) == (3e-4, 3e-5)
    assert (train.trainer.batch_size, graded.trainer.batch_size) == (32, 16)
    assert (train.trainer.epochs, graded.trainer.epochs) == (16, 1)
    cosine = train.schedule.cosine
    assert cosine is not None
    assert [cosine.share(epoch, 16, 3e-4) * 3e-4 for epoch in (0, 15)] == pytest.approx([3e-4, 1e-5])
    quotas = train.sampler.quotas
    assert quotas is not None
    assert sum(quotas_of(quotas.unit, quotas.shares)) + quotas.unit == 316_666
    assert recipe.postprocess.negative == "one_minus_max"
    assert recipe.postprocess.quality == Weights()
    mean = recipe.postprocess.image_mean
    assert mean is not None
    assert mean.weights[[0, 11, 18]].tolist() == pytest.approx([0.3, 0, 0])


def test_its_members_are_the_second_final_ensemble() -> None:
    recipe = load_recipe(Recipe, B, "full")
    shares = {part.folder: part.share for part in recipe.parts}
    assert sum(shares.values()) == pytest.approx(1)
    resize = {f"resize/{k}": 0.4 * share for k, share in enumerate((0.2, 0.3, 0.3, 0.2))}
    pad = {f"resize_pad/{k}": 0.4 * 0.5 for k in range(2)}
    assert shares == pytest.approx({**resize, **pad, "solo": 0.2})
    losses = {name: member.steps["train"].loss for name, _, member in recipe.systems}
    assert losses["resize"] == LossParams(focal=Focal(gamma=2, modulation="loss", reduction="mean"))
    assert losses["resize_pad"] == LossParams(bce=Bce())
    masks = {name: member.seen_at_the_end.mask for name, _, member in recipe.systems}
    assert masks == {"resize": "others", "resize_pad": "others", "solo": "own"}
    assert len({member.seed for _, _, member in recipe.systems}) == 3


def test_its_labels_take_back_what_the_published_lists_did() -> None:
    sources = read_sources(load_recipe(Recipe, B, "full").labels, "")
    first, second = (source for source in sources if isinstance(source, AutoNegative))
    assert first.classes == (0, 2, 3, 4, 5, 6, 7, 10, 13, 14, 17)
    assert second.classes == (1, 6, 12)
    assert (first.lowest, first.value) == (0.15, 0.01)


def test_denoise_densenet_cell_is_the_second_half_of_system_a() -> None:
    recipe = load_recipe(Recipe, A, "full")
    assert recipe.start_from == "image_level/denoise_densenet_image"
    assert (recipe.backbone.name, recipe.extra_stem_pool) == ("densenet121", True)
    assert recipe.head == Head(pool="avg+max", hidden=1024, dropout=0.5)
    view = recipe.view
    assert (view.mask, view.repeat_below, view.square, view.size_px) == ("others", 0.5, "pad", 512)
    broad, sharp = recipe.steps.values()
    assert broad.loss == LossParams(
        focal=Focal(weight=0.5), lovasz=Lovasz(weight=0.5), hard_log=HardLog(weight=0.5)
    )
    mined = HardLogSymmetric(weight=0.25, positive_from=0.75, negative_below=0.25)
    assert sharp.loss == LossParams(focal=Focal(), hard_log_symmetric=mined)
    for step in (broad, sharp):
        assert step.schedule.table is not None
        assert step.schedule.table.table == ADAM10
        assert (step.trainer.batch_size, step.trainer.accumulate, step.trainer.clip_norm) == (32, 4, 1)
        assert step.trainer.monitor == "val/binned_accuracy"
    assert (broad.optimizer.lr, sharp.optimizer.lr) == (4e-5, 1e-5)
    assert len(recipe.views) == 4
    assert recipe.augment == ("orient@1",)


def test_its_labels_are_pseudo_labels_and_mined_mitoses() -> None:
    _, pseudo, mined = read_sources(load_recipe(Recipe, A, "full").labels, "")
    assert isinstance(pseudo, Pseudo)
    assert isinstance(mined, Denoise)
    assert (pseudo.system, mined.classes) == ("image_level/denoise_densenet_image", (11,))
    assert (mined.denoising.known_neighbours, mined.graph.neighbours) == (3, 200)


def test_the_first_half_has_the_same_network() -> None:
    """Data flows sideways: the recipes of both approaches have to agree at either scale."""
    path = FOLDER.parent / "image_level/recipes/denoise_densenet_image.yaml"
    if not path.exists():
        pytest.skip("image_level is absent")
    weights = ["normalize", "view.channels", "backbone.name", "head.pool", "head.hidden"]
    for scale, names in (("demo", weights), ("full", [*weights, "extra_stem_pool"])):
        first, second = (recipe_values(each, scale) for each in (path, A))
        for keys in names:
            section, _, key = keys.partition(".")
            values = [each[section][key] if key else each[section] for each in (first, second)]
            assert values[0] == values[1], keys


def test_every_recipe_that_is_on_has_one_stage_of_labels_and_one_of_training() -> None:
    lists = read_yaml(FOLDER / "params.yaml")["cell_crop"]
    for group in ("labels", "start"):
        assert sorted(chain(*lists[group].values())) == sorted(lists["recipes"])


def test_members_and_their_epochs_are_trained_and_averaged_by_their_shares(
    crops: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    recipe = made_small(B)
    labels, folds = labels_and_folds(crops)
    graded = labels.assign(source="image 3=validation")
    train_fold(recipe, 0, crops, graded, folds, Place(tmp_path, tmp_path / "scratch", NoRun()))
    assert {part.folder for part in recipe.parts} == {
        *(f"resize/{k}" for k in range(4)),
        *("resize_pad/0", "resize_pad/1", "solo"),
    }
    history = pd.read_csv(tmp_path / "history.csv")
    steps = {name: list(rows["step"].unique()) for name, rows in history.groupby("member")}
    assert steps["resize"] == ["train", *(f"graded-{k}" for k in range(4))]
    assert steps["solo"] == ["train", "graded"]
    store, rows = CropStore(crops), np.arange(3)
    alone = []
    for part in recipe.parts:
        folder = tmp_path / part.folder
        _, member = load_trained(folder, Recipe, lambda each: build_network(each, pretrained=False))
        assert not member.members
        alone.append(part.share * predicting.predict_part(folder, store, rows))
    assert len({array.tobytes() for array in alone}) == len(alone)
    np.testing.assert_allclose(
        predicting.predict_rows(tmp_path, store, rows), np.sum(alone, axis=0), atol=1e-6
    )


def test_where_nobody_graded_the_step_for_it_is_left_out(
    crops: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    recipe = made_small(B).model_copy(update={"members": {}})
    labels, folds = labels_and_folds(crops)
    train_fold(recipe, 0, crops, with_source(labels), folds, Place(tmp_path, tmp_path / "scratch", NoRun()))
    assert set(pd.read_csv(tmp_path / "history.csv")["step"]) == {"train"}


def test_a_fold_starts_from_the_weights_of_the_same_fold(crops: Path, tmp_path: Path) -> None:  # noqa: F811
    recipe = made_small(A)
    frozen = {name: step.model_dump(mode="json") for name, step in recipe.steps.items()}
    for step in frozen.values():
        step["optimizer"]["lr"] = 1e-12
    recipe = build(Recipe, recipe.model_dump(mode="json") | {"steps": frozen}, "recipe")
    torch.manual_seed(5)
    before = build_network(recipe)
    for fold in (0, 1):
        save_trained(tmp_path / f"models/image_level/denoise_densenet_image/fold-{fold}", before, recipe)
    start = find_start(recipe, 1, tmp_path / "models")
    assert start == tmp_path / "models/image_level/denoise_densenet_image/fold-1"
    labels, folds = labels_and_folds(crops)
    place = Place(tmp_path / "out", tmp_path / "scratch", NoRun())
    train_fold(recipe, 1, crops, with_source(labels), folds, place, start)
    after, _ = load_trained(tmp_path / "out", Recipe, lambda each: build_network(each, pretrained=False))
    for name, weight in before.named_parameters():
        torch.testing.assert_close(after.get_parameter(name), weight, atol=1e-6, rtol=0)
    other = build(Recipe, recipe.model_dump(mode="json") | {"head": {"hidden": 7}}, "recipe")
    with pytest.raises(DataError, match=r"does not fit the recipe that starts from it .* give both the same"):
        train_fold(other, 1, crops, with_source(labels), folds, place, start)


def test_a_stage_and_a_recipe_that_disagree_about_the_start_are_refused(tmp_path: Path) -> None:
    starts = load_recipe(Recipe, A, "full")
    with pytest.raises(ParamsError, match=r"start_from is image_level/.* without --models"):
        find_start(starts, 0, None)
    fresh = starts.model_copy(update={"start_from": None})
    assert find_start(fresh, 0, None) is None
    with pytest.raises(ParamsError, match="start_from is None, and the stage was run with --models"):
        find_start(fresh, 0, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"graded": {"step": "late", "sources": ["validation"], "ungraded": 1}}, "graded.step is late"),
        ({"members": {"one": {"weight": 0}}}, "members.one.weight"),
        (
            {"members": {"one": {"weight": 1, "ensemble": [1] * 99}}},
            "members.one.ensemble has 99 weights for 4 epochs",
        ),
        ({"backbone": {"name": "resnet18", "pretrained": False, "dropout": 0.5}}, "set head.dropout"),
        ({"start_from": "image_level"}, "start_from"),
    ],
)
def test_recipes_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    given = json.loads(load_recipe(Recipe, B, "demo").model_dump_json())
    with pytest.raises(ParamsError, match=message):
        build(Recipe, given | change, "recipe")
