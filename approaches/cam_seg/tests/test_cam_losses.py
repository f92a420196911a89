"""Losses by hand, and that tiles come back where they were."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from approaches.cam_seg.losses import (
    merge,
    puzzle_loss,
    reconstruction,
    reconstruction_weight,
    split,
    with_subcategories,
)
from approaches.cam_seg.network import CamClassifier, build_classifier
from approaches.cam_seg.recipe import PuzzleParams
from common.backbones import BackboneParams
from common.losses.entrywise import bce, focal


class Pixels(nn.Module):
    """Features that are the pixels themselves: a network that sees one place at a time."""

    def forward_features(self, pixels: Tensor) -> Tensor:
        return pixels


def pixelwise(channels: int, sub_classes: int = 0) -> CamClassifier:
    torch.manual_seed(1)
    return CamClassifier(Pixels(), channels, sub_classes)


def test_sub_classes_count_five_times() -> None:
    logits, targets = torch.zeros(1, 19 + 190), torch.zeros(1, 19 + 190)
    # focal at x = 0: ln 2 / 4 an entry, summed
    each = np.log(2) / 4
    assert with_subcategories(logits, targets, focal).item() == pytest.approx(19 * each + 5 * 190 * each)


def test_a_loss_over_sub_classes_needs_some() -> None:
    with pytest.raises(ValueError, match="no sub-classes"):
        with_subcategories(torch.zeros(1, 19), torch.zeros(1, 19), focal)


def test_tiles_lie_row_by_row_and_come_back() -> None:
    picture = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    tiles = split(picture, 2)
    expected = [picture[0, :, :2, :3], picture[0, :, :2, 3:], picture[0, :, 2:, :3], picture[0, :, 2:, 3:]]
    assert torch.equal(tiles[:4], torch.stack(expected))
    assert torch.equal(merge(tiles, 2), picture)
    with pytest.raises(ValueError, match="no 2 x 2 equal tiles"):
        split(picture[..., :5], 2)


def test_the_weight_rises_to_four_in_the_first_half() -> None:
    params = PuzzleParams()
    assert [reconstruction_weight(params, done) for done in (0, 0.25, 0.5, 1)] == [0, 2, 4, 4]
    assert reconstruction_weight(params.model_copy(update={"ramp": 0.0}), 0) == 4


def test_the_distance_of_normalised_maps_by_hand() -> None:
    whole = torch.tensor([[[[2.0, 1.0]], [[1.0, 4.0]]]])
    merged = torch.tensor([[[[1.0, 1.0]], [[-1.0, 8.0]]]])
    # shares of the maximum: class 0 (1, .5) against (1, 1); class 1 (.25, 1) against (0, 1)
    both = reconstruction(whole, merged, torch.ones(1, 2)).item()
    assert both == pytest.approx((0.5 + 0.25) / 4, abs=1e-4)
    first = reconstruction(whole, merged, torch.tensor([[1.0, 0.0]])).item()
    assert first == pytest.approx(0.5 / 4, abs=1e-4)


def test_a_network_that_sees_places_one_by_one_has_nothing_to_reconstruct() -> None:
    network, pixels, targets = pixelwise(5), torch.rand(2, 5, 4, 4), torch.zeros(2, 19)
    with_weight = puzzle_loss(network, pixels, targets, bce, PuzzleParams(tiles="merged"), 1.0)
    # merged features are those of the whole: classification counts twice, the distance is 0
    torch.testing.assert_close(with_weight, 2 * bce(network(pixels), targets))


def test_each_tile_answers_for_its_own_picture() -> None:
    network, pixels = pixelwise(5), torch.rand(2, 5, 4, 4)
    targets = torch.stack([torch.zeros(19), torch.ones(19)])
    found = puzzle_loss(network, pixels, targets, bce, PuzzleParams(), 0.0)
    corners = [(slice(y, y + 2), slice(x, x + 2)) for y in (0, 2) for x in (0, 2)]
    tiles = [bce(network(pixels[i : i + 1, :, *at]), targets[i : i + 1]) for i in (0, 1) for at in corners]
    torch.testing.assert_close(found, bce(network(pixels), targets) + torch.stack(tiles).mean())


@pytest.mark.parametrize("target", ["cam", "features"])
def test_the_distance_counts_and_has_a_gradient(target: str) -> None:
    torch.manual_seed(0)
    network = build_classifier(BackboneParams(name="test_resnet", pretrained=False), 4).eval()
    pixels, targets = torch.rand(1, 4, 64, 64), torch.zeros(1, 19)
    params = PuzzleParams.model_validate({"target": target})
    early, late = (puzzle_loss(network, pixels, targets, bce, params, done) for done in (0.0, 1.0))
    assert late > early
    (late - early).backward()
    assert any(each.grad is not None and each.grad.abs().sum() > 0 for each in network.backbone.parameters())


def test_maps_of_sub_classes_agree_on_request() -> None:
    torch.manual_seed(0)
    network = build_classifier(BackboneParams(name="test_resnet", pretrained=False), 4, 38).eval()
    pixels, targets = torch.rand(1, 4, 64, 64), torch.zeros(1, 57)
    found = [
        puzzle_loss(network, pixels, targets, bce, PuzzleParams(sub=sub, tile_weight=0), 1.0)
        for sub in (False, True)
    ]
    assert found[0] != found[1]


def test_a_picture_that_tiles_do_not_fit_is_refused() -> None:
    network = build_classifier(BackboneParams(name="test_resnet", pretrained=False), 4).eval()
    with pytest.raises(ValueError, match="multiples of splits x the stride"):
        puzzle_loss(network, torch.rand(1, 4, 96, 96), torch.zeros(1, 19), bce, PuzzleParams(), 0.0)
