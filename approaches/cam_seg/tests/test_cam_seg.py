"""The recipe of system C and how its networks are trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from approaches.cam_seg.asking import load_classifiers
from approaches.cam_seg.dataset import MixedImages, PaintedImages, labels_by_image
from approaches.cam_seg.recipe import Recipe
from common.cells import KEYS
from common.classes import CLASSES, NEGATIVE, PROBABILITIES
from common.errors import ParamsError
from common.field_data import Inputs, Part
from common.losses.recipe import Focal
from common.params import build, load_recipe
from tests.small_cam_seg import RECIPE, small, train


def test_sccam_unet_is_system_c() -> None:
    recipe = load_recipe(Recipe, RECIPE, "full")
    first, second, segment = recipe.steps.values()
    assert (recipe.backbone.name, recipe.view.size_px, len(recipe.view.channels)) == ("resnet50", 512, 4)
    assert [step.optimizer.lr for step in (first, second, segment)] == [0.5, 0.005, 0.25]
    assert [step.trainer.batch_size for step in (first, second, segment)] == [40, 40, 12]
    for step in recipe.steps.values():
        assert (step.optimizer.name, step.optimizer.momentum, step.optimizer.weight_decay) == (
            "sgd",
            0.9,
            4e-5,
        )
        assert step.schedule.warmup_cosine is not None
        assert step.schedule.warmup_cosine.warmup == 0.1
        assert (step.trainer.seed, step.trainer.monitor) == (42, "val/loss")
    assert first.loss.focal == Focal(gamma=2, reduction="sum_classes")
    assert segment.loss.focal == Focal(gamma=2, reduction="mean")
    assert recipe.subcategories is not None
    assert (recipe.sub_classes, recipe.subcategories.loss_weight) == (190, 5)
    assert (recipe.pseudo.confidence, recipe.cells.confidence) == ("cam_rate", "cam_rate_mean")
    assert (recipe.pseudo.background_rule, recipe.cells.background_rule) == (True, False)
    assert recipe.pseudo_masks.threshold == 0.225
    assert len(recipe.maps.views) == 9
    assert (recipe.ensemble.classifier.role, recipe.ensemble.segmenter.role) == ("both", "maps")


def test_steps_of_other_names_are_refused() -> None:
    given = small().model_dump(mode="json")
    given["steps"]["round_2"] = given["steps"].pop("round_1")
    with pytest.raises(ParamsError, match="steps are round_0, round_1 and segment"):
        build(Recipe, given, "recipe")


def test_several_epochs_that_would_predict_together_are_refused() -> None:
    given = small().model_dump(mode="json")
    given["steps"]["segment"]["trainer"]["ensemble"] = [1.0]
    with pytest.raises(ParamsError, match=r"steps.segment.trainer.ensemble has no effect here"):
        build(Recipe, given, "recipe")


def test_both_rounds_are_trained_unless_sub_categories_are_off(
    trained: Path, inputs: Inputs, tmp_path: Path
) -> None:
    both = pd.read_csv(trained / "classifiers/fold-0/history.csv")
    assert list(both["step"]) == ["round_0", "round_1"]
    assert list(both["epoch"]) == [0, 1]
    one = train(small(subcategories=None), inputs, 0, tmp_path / "fold-0")
    assert list(one["step"]) == ["round_0"]
    weights = [
        load_classifiers([folder]).classifiers[0].state_dict()
        for folder in (trained / "classifiers/fold-0", tmp_path / "fold-0")
    ]
    assert weights[0]["sub_classes.weight"].shape[0] == 19 * 2
    assert "sub_classes.weight" not in weights[1]


def test_round_1_goes_on_from_round_0_or_starts_anew(inputs: Inputs, tmp_path: Path) -> None:
    given = small().model_dump(mode="json")
    given["steps"]["round_1"]["optimizer"]["lr"] = 1e-12
    for start in ("round_0", "backbone"):
        recipe = build(Recipe, given | {"round_1_from": start}, "recipe")
        train(recipe, inputs, 0, tmp_path / start)
    train(small(subcategories=None), inputs, 0, tmp_path / "alone")
    heads = {
        path.name: load_classifiers([path]).classifiers[0].classes.weight
        for path in tmp_path.iterdir()
        if (path / "recipe.json").exists()
    }
    torch.testing.assert_close(heads["round_0"], heads["alone"], atol=1e-6, rtol=0)
    assert not torch.allclose(heads["backbone"], heads["alone"], atol=1e-3)


@pytest.mark.parametrize("option", [{"puzzle": {}}, {"fair": {"share": 1.0}}])
def test_puzzle_and_fair_activation_train_both_rounds(
    option: dict[str, Any], inputs: Inputs, tmp_path: Path
) -> None:
    given = small().model_dump(mode="json") | option
    history = train(build(Recipe, given, "recipe"), inputs, 0, tmp_path / "fold-0")
    plain = train(small(), inputs, 0, tmp_path / "plain")
    assert np.isfinite(history["train/loss"]).all()
    assert not np.allclose(history["train/loss"], plain["train/loss"])
    assert list(history["step"]) == ["round_0", "round_1"]


def test_fair_activation_changes_pictures_that_are_trained_on_and_no_others(inputs: Inputs) -> None:
    given = small().model_dump(mode="json") | {"fair": {"share": 1.0}, "augment": []}
    part = Part(np.arange(6), np.zeros((6, len(CLASSES))))
    mixed = MixedImages(inputs.fields, part, build(Recipe, given, "recipe"), inputs.masks)
    plain = MixedImages(inputs.fields, part, small(augment=[]), inputs.masks)
    assert torch.equal(mixed[0][0], plain[0][0])
    assert not torch.equal(mixed[2, 0][0], plain[2, 0][0])
    assert torch.equal(mixed[2, 0][0], mixed[2, 0][0])
    assert not torch.equal(mixed[2, 0][0], mixed[3, 0][0])
    assert torch.equal(mixed[2, 5][0], plain[2, 5][0]), "f has no cell"


def test_pixels_and_painted_planes_move_together(inputs: Inputs) -> None:
    table = inputs.cells[KEYS].assign(**dict.fromkeys(PROBABILITIES, 0.0))
    table.loc[table["cell_id"] == 3, "p_5"] = 1.0
    part = Part(np.arange(6), np.zeros((6, len(CLASSES))))
    images = PaintedImages(inputs.fields, part, small(), inputs.masks, labels_by_image(table))
    pixels, still, _ = images[0]
    assert still.shape == (20, 64, 64)
    assert still.sum(0).min() == still.sum(0).max() == 1
    assert still[5].sum() > still[NEGATIVE].sum() > 0
    for epoch in range(6):
        moved, planes, _ = images[epoch, 0]
        both = torch.cat([pixels, still])
        turns = [both.rot90(turn, (1, 2)) for turn in range(4)]
        views = turns + [each.flip(2) for each in turns]
        assert any(torch.equal(torch.cat([moved, planes]), view) for view in views)
    empty = images[5][1]
    assert empty[19].min() == 1
