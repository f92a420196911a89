"""Learning to segment: targets, the fields it learns from, the loss, and going on after a break."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from common.errors import ParamsError
from common.params import load_recipe
from common.segmentation.network_params import UnetNetwork, UnetParams
from common.segmentation.unet import build_network, load_unet, normalise, save_unet, segment
from common.segmenter_training.hits import count_hits
from common.segmenter_training.learning import checkpoint_folder, train
from common.segmenter_training.recipe import LearningParams, UnetRecipe
from common.segmenter_training.scenes import SceneParams, Scenes, cut, disturb, draw_field
from common.segmenter_training.targets import cell_target, loss, nucleus_target
from tests.running import ROOT

TINY = UnetNetwork(encoder="tu-resnet10t", decoder_channels=(16, 8, 8, 8), um_per_px=1.28)
RECIPE = UnetRecipe(
    network=TINY,
    scenes=SceneParams(side_px=64, pieces=2),
    learning=LearningParams(
        epochs=4, steps=3, fields=1, lr=0.005, weight_decay=0.01, precision="32-true", seed=0
    ),
    held_out=1,
)


class Recorder:
    """A run that keeps what is logged."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def log(self, data: dict[str, Any]) -> None:
        self.losses.append(data["train/loss"])


def rows(*lines: str) -> np.ndarray:
    return np.array([[int(digit) for digit in line] for line in lines], np.uint16)


def test_cell_target_by_hand() -> None:
    cells = rows("000000000", "011112220", "011112220", "011112220", "000000000")
    assert cell_target(cells, 1).tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 1, 1, 0],
        [0, 1, 2, 2, 1, 1, 2, 1, 0],
        [0, 1, 1, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]


def test_a_cell_has_no_border_along_the_edge_of_the_picture() -> None:
    assert cell_target(np.ones((4, 4), np.uint16), 1).tolist() == np.full((4, 4), 2).tolist()


def test_nucleus_target_by_hand() -> None:
    nuclei = rows("0000000", "0111220", "0000000")
    assert nucleus_target(nuclei, 1).tolist() == [
        [0, 1, 1, 1, 1, 1, 0],
        [1, 2, 2, 1, 1, 2, 1],
        [0, 1, 1, 1, 1, 1, 0],
    ]


def test_the_loss_is_small_where_the_network_is_right_and_sure() -> None:
    targets = torch.randint(0, 3, (2, 2, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    right = torch.cat([torch.nn.functional.one_hot(t.long(), 3).movedim(-1, 1) for t in targets.unbind(1)], 1)
    assert loss(20.0 * right, targets) < 0.01
    assert loss(torch.zeros(2, 6, 16, 16), targets) > 1
    assert loss(-20.0 * right, targets) > 5


def test_a_batch_follows_from_its_number() -> None:
    scenes = Scenes(RECIPE.scenes, 3, TINY.um_per_px, 1, 5)
    first, again, other = scenes[4], Scenes(RECIPE.scenes, 3, TINY.um_per_px, 1, 5)[4], scenes[3]
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert first[0].shape == (2, 3, 64, 64)
    assert first[1].shape == (2, 2, 64, 64)
    assert set(first[1].unique().tolist()) == {0, 1, 2}


def test_pixels_and_labels_are_cut_and_turned_together() -> None:
    plane = np.arange(100, dtype=np.float32).reshape(10, 10)
    for seed in range(8):
        pixels, nuclei, cells = cut(np.random.default_rng(seed), [plane] * 5, 4)
        assert (pixels == nuclei).all()
        assert (pixels == cells).all()
        assert np.ptp(pixels) == 33  # neighbours: no pixel is skipped


def test_a_disturbed_field_does_not_show_its_gain() -> None:
    calm = SceneParams(
        cell_spread=0, hollow=(0, 0), gamma=(1, 1), blur_px=(0, 0), clean=1, haze=(0, 0), shading=(0, 0)
    )
    field = draw_field(np.random.default_rng(0), 0, calm, TINY.um_per_px)
    dim = replace(field, image=field.image // 2)
    bright, dark = (disturb(np.random.default_rng(0), one, calm) for one in (field, dim))
    assert np.abs(bright - dark).mean() < 0.02
    expected = [normalise(field.image[plane].astype(np.float32)) for plane in (0, 3, 2)]
    np.testing.assert_allclose(bright, np.stack(expected), atol=1e-4)


def test_hollow_nuclei_lack_light_of_the_cytoplasm_only() -> None:
    calm = SceneParams(cell_spread=0, gamma=(1, 1), blur_px=(0, 0), clean=1, haze=(0, 0), shading=(0, 0))
    field = draw_field(np.random.default_rng(0), 0, calm, TINY.um_per_px)
    full, empty = (
        disturb(np.random.default_rng(0), field, calm.model_copy(update={"hollow": (depth, depth)}))
        for depth in (0.0, 1.0)
    )
    inside = ndimage.binary_erosion(field.nuclei > 0, iterations=2)
    assert full[0][inside].mean() > 2 * empty[0][inside].mean()
    np.testing.assert_allclose(full[2], empty[2], atol=1e-6)


def test_training_lowers_the_loss_and_the_network_survives_the_disk(tmp_path: Path) -> None:
    run = Recorder()
    trained = train(RECIPE, tmp_path / "scratch", run)
    assert len(run.losses) == 4
    assert run.losses[-1] < 0.9 * run.losses[0]
    save_unet(tmp_path / "model", trained)
    image = np.random.default_rng(0).integers(0, 255, (4, 96, 96)).astype(np.uint8)
    masks, again = (
        segment([image], unet, UnetParams())[0] for unet in (trained, load_unet(tmp_path / "model"))
    )
    assert np.array_equal(masks[1], again[1])
    before, after = trained.network.state_dict(), load_unet(tmp_path / "model").network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_training_that_was_broken_off_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(RECIPE, tmp_path / "whole", Recorder())

    class Broken(Recorder):
        def log(self, data: dict[str, Any]) -> None:
            super().log(data)
            if len(self.losses) == 3:  # the third epoch is lost
                raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train(RECIPE, tmp_path / "broken", Broken())
    rest = Recorder()
    resumed = train(RECIPE, tmp_path / "broken", rest)
    assert len(rest.losses) == 2
    found, expected = resumed.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_another_recipe_does_not_go_on_from_this_ones_checkpoint(tmp_path: Path) -> None:
    other = RECIPE.model_copy(update={"held_out": 2})
    assert checkpoint_folder(tmp_path / "m", RECIPE) == checkpoint_folder(tmp_path / "m", RECIPE)
    assert checkpoint_folder(tmp_path / "m", RECIPE) != checkpoint_folder(tmp_path / "m", other)


@pytest.mark.parametrize("scale", ["demo", "full"])
def test_the_recipe_is_valid_and_its_network_can_be_built(scale: str) -> None:
    recipe = load_recipe(UnetRecipe, ROOT / "segmenter/unet.yaml", scale)
    network = build_network(recipe.network).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 6, 64, 64)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(ParamsError, match="resnet0"):
        build_network(UnetNetwork(encoder="resnet0"))


def test_hits_by_hand() -> None:
    truth = rows("1111100000", "2222200000")
    found = rows("1111000033", "2200000000")
    hits = count_hits([(found, truth)])
    assert (hits.cells, hits.found, hits.matched) == (2, 3, 1)
    assert (hits.recall, hits.precision) == (1 / 2, 1 / 3)
