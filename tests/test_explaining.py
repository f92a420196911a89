"""Maps over cells: hot where the network looks, drawn a picture a cell and class."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from common.backbones import BackboneParams, build_features
from common.classes import CLASSES, PROBABILITIES
from common.explaining import Explainable, Picture, draw, explain, last_features, view_colors

SIDE = 64


class Halves(nn.Module):
    """Two features: how bright a place is in the left half, and in the right."""

    def __init__(self) -> None:
        super().__init__()
        sides = torch.zeros(2, SIDE // 8, SIDE // 8)
        sides[0, :, : SIDE // 16], sides[1, :, SIDE // 16 :] = 1, 1
        self.sides = nn.Parameter(sides)

    def forward(self, pixels: Tensor) -> Tensor:
        return avg_pool2d(pixels.mean(1, keepdim=True), 8) * self.sides


class LooksLeft(nn.Module):
    """Class 2 is what is bright in the left half, class 3 what is in the right."""

    def __init__(self) -> None:
        super().__init__()
        self.features = Halves()

    def forward(self, pixels: Tensor) -> Tensor:
        logits = pixels.new_zeros(len(pixels), len(CLASSES))
        return torch.cat([logits[:, :2], self.features(pixels).sum((2, 3)), logits[:, 4:]], 1)


def picture() -> Picture:
    """Two bright cells, 1 on the left and 4 on the right, and the eye's view at twice the size."""
    mask = np.zeros((2 * SIDE, 2 * SIDE), np.uint16)
    mask[30:70, 10:50], mask[60:100, 80:120] = 1, 4
    pixels = torch.from_numpy((mask[::2, ::2] > 0).astype(np.float32)).expand(4, -1, -1)
    return Picture("a", pixels, np.full((2 * SIDE, 2 * SIDE, 3), 60, np.uint8), mask, [1, 4])


def predictions() -> pd.DataFrame:
    table = pd.DataFrame(0.01, index=range(2), columns=list(PROBABILITIES))
    table["p_2"], table["p_3"] = [0.9, 0.2], [0.5, 0.8]
    table.insert(0, "cell_id", [1, 4])
    table.insert(0, "image_id", "a")
    return table


def redness(path: Path, tile: int) -> float:
    """How much more red than blue a tile of a picture holds."""
    drawn = np.asarray(Image.open(path).convert("RGB")).astype(float)
    pixels = drawn[40:, tile * 320 : (tile + 1) * 320]
    return float((pixels[..., 0] - pixels[..., 2]).mean())


def test_grad_cam_is_hot_in_the_cell_that_shows_the_class(tmp_path: Path) -> None:
    network = LooksLeft()
    given = Explainable(network, network.features, [picture()])
    paths = list(explain(given, predictions(), 2, tmp_path))
    assert {path.relative_to(tmp_path).as_posix() for path in paths} == {
        f"a/{cell_id}_{class_id}.png" for cell_id in (1, 4) for class_id in (2, 3)
    }
    assert redness(tmp_path / "a/1_2.png", 1) > 20 + redness(tmp_path / "a/1_3.png", 1)
    assert redness(tmp_path / "a/4_3.png", 1) > 20 + redness(tmp_path / "a/4_2.png", 1)


def test_one_class_a_cell_unless_more_are_asked_for(tmp_path: Path) -> None:
    network = LooksLeft()
    given = Explainable(network, network.features, [picture()])
    paths = [path.name for path in explain(given, predictions(), 1, tmp_path)]
    assert sorted(paths) == ["1_2.png", "4_3.png"]


def test_maps_of_the_approach_stand_before_grad_cam(tmp_path: Path) -> None:

    def everywhere(pixels: Tensor) -> Tensor:
        return torch.ones(1, len(CLASSES), 2, 2)

    network = LooksLeft()
    given = Explainable(network, network.features, [picture()], {"CAM": everywhere})
    path = next(iter(explain(given, predictions(), 1, tmp_path)))
    assert Image.open(path).size == (3 * 320, 350)
    assert redness(path, 1) > 20 + redness(path, 0)


def test_a_cell_is_drawn_with_its_surroundings_and_without_the_rest() -> None:
    given = picture()
    given.shown[60:100, 80:120] = (0, 0, 255)  # the other cell, which lies outside the box
    drawn = np.asarray(draw(given, 1, {"x": np.zeros((SIDE, SIDE), np.float32)}, "Nucleoli 0.90"))
    assert drawn.shape == (350, 640, 3)
    assert not ((drawn[..., 2] > 200) & (drawn[..., 0] < 50)).any()
    assert (drawn[40:, :320] > 200).all(-1).any(), "the outline is white"


def test_channels_that_a_network_does_not_see_are_black() -> None:
    shown = view_colors(np.full((8, 8, 2), 200, np.uint8), ("nucleus", "protein"))
    assert shown[..., 0].max() == 0
    assert shown[..., 1:].min() > 100


@pytest.mark.parametrize("name", ["resnet10t", "densenet121", "efficientnet_b0"])
def test_the_last_features_are_those_of_the_head(name: str) -> None:
    network, _ = build_features(BackboneParams(name=name, pretrained=False), 4)
    seen: list[Tensor] = []
    last_features(network).register_forward_hook(lambda module, inputs, output: seen.append(output))
    whole = network.forward_features(torch.zeros(1, 4, 64, 64))  # type: ignore[operator]
    assert seen[0].shape[2:] == whole.shape[2:]
