"""From images to cells: what the network is shown, and what is read from its maps."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from approaches.image_level.dataset import number_cells
from approaches.image_level.scorers import SCORERS, alone, cell_shares, score_cells, tiled
from common.classes import CLASSES
from common.classifier import Classifier, Head

SIDE = 16
VIEWS = ("identity", "hflip", "vflip", "rot90", "scale=0.8", "scale=1.2")


class Body(nn.Module):
    """The pixels themselves, at a quarter of their resolution, are the features."""

    def forward_features(self, pixels: Tensor) -> Tensor:
        found: Tensor = nn.functional.avg_pool2d(pixels, 4)
        return found


def classifier(head: Head | None = None) -> Classifier:
    """A network whose first two classes are the first two channels, with the threshold in the middle."""
    network = Classifier(Body(), 2, head or Head(), (0.0, 0.0), (1.0, 1.0)).eval()
    last = network.classify[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        if head is None:
            last.weight.zero_()
            last.weight[0, 0] = last.weight[1, 1] = 20
            last.bias.fill_(-4)
    return network


def field() -> tuple[Tensor, Tensor]:
    """Cell 1 shows the first channel, cell 2 the second, cell 3 nothing."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.int64)
    mask[:8, :8], mask[8:, 8:], mask[:8, 8:] = 1, 2, 3
    pixels = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    pixels[0, :8, :8] = pixels[1, 8:, 8:] = 255
    return pixels, mask


@pytest.mark.parametrize("scorer", SCORERS)
def test_each_scorer_finds_the_cell_that_shows_a_class(scorer: str) -> None:
    scored = score_cells(classifier(), scorer, VIEWS, *field(), batch_size=2)
    cells = scored.cells[:, :2]
    assert cells.shape == (3, 2)
    assert cells[0, 0] > 0.5 > cells[0, 1]
    assert cells[1, 1] > 0.5 > cells[1, 0]
    assert cells[2].max() < 0.2
    assert scored.image[0] == pytest.approx(0.73, abs=0.1)  # sigmoid(20 / 4 - 4); scaled views lose an edge
    assert len(scored.embeddings) == 3


@pytest.mark.parametrize("scorer", SCORERS)
def test_an_image_without_cells_is_still_an_image(scorer: str) -> None:
    pixels, mask = field()
    scored = score_cells(classifier(), scorer, ("identity",), pixels, mask * 0, batch_size=2)
    assert scored.cells.shape == (0, len(CLASSES))
    assert scored.embeddings.shape == (0, 2)
    assert scored.image[0] == pytest.approx(0.731, abs=1e-3)


@pytest.mark.parametrize("scorer", SCORERS)
def test_the_batch_size_changes_nothing(scorer: str) -> None:
    once, again = (
        score_cells(classifier(), scorer, ("hflip",), *field(), batch_size=size) for size in (1, 7)
    )
    for one, other in zip(once, again, strict=True):
        torch.testing.assert_close(one, other)


def test_a_tiled_cell_fills_the_picture_without_its_neighbours() -> None:
    pixels = torch.arange(2 * SIDE * SIDE).reshape(2, SIDE, SIDE)
    mask = torch.zeros(SIDE, SIDE, dtype=torch.int64)
    mask[2:7, 3:6] = 1
    mask[2, 3] = 0  # background in the box stays
    mask[6, 5] = 2  # a neighbour in the box goes
    found = tiled(pixels, mask, 1)
    assert found.shape == pixels.shape
    box = pixels[:, 2:7, 3:6].clone()
    box[:, 4, 2] = 0
    for y in range(SIDE):
        for x in range(SIDE):
            assert torch.equal(found[:, y, x], box[:, y % 5, x % 3])


def test_a_cell_alone_stays_at_its_place() -> None:
    pixels, mask = field()
    found = alone(pixels, mask, 2)
    assert (found[1, 8:, 8:] == 255).all()
    assert found[:, :8].sum() == found[:, :, :8].sum() == 0


def test_cell_shares_count_the_pixels_of_each_place() -> None:
    rng = np.random.default_rng(0)
    mask = torch.from_numpy(rng.integers(0, 4, (12, 12)))
    shares = cell_shares(mask, 4, 3)
    for number in range(3):
        for y in range(4):
            for x in range(3):
                place = mask[3 * y : 3 * y + 3, 4 * x : 4 * x + 4]
                assert shares[number, y, x] == (place == number + 1).sum()


@pytest.mark.parametrize("pool", ["avg", "avg+max"])
def test_pooling_over_a_cell_that_is_the_picture_is_pooling_over_the_picture(pool: str) -> None:
    network = Classifier(Body(), 2, Head(pool=pool, hidden=5), (0.0, 0.0), (1.0, 1.0)).eval()  # type: ignore[arg-type]
    features = torch.rand(2, 4, 4)
    found = network.pool_cells(features, torch.ones(1, 4, 4))
    torch.testing.assert_close(found, network.pool(features[None]))


def test_the_mean_of_a_class_map_is_the_logit_without_its_bias() -> None:
    network = classifier()
    features = torch.rand(2, 4, 4)
    last = network.classify[-1]
    assert isinstance(last, nn.Linear)
    logits = network.classify(network.embed(network.pool(features[None])))[0] - last.bias
    torch.testing.assert_close(network.class_maps(features).mean((1, 2)), logits)


def test_a_class_map_of_two_layers_is_the_head_at_each_place() -> None:
    network = classifier(Head(pool="avg+max", hidden=6))
    features = torch.rand(2, 3, 4)
    alone_there = features[:, 1, 2].reshape(1, 2, 1, 1).expand(1, 2, 3, 4)
    expected = network.classify(network.embed(network.pool(alone_there)))[0]
    torch.testing.assert_close(network.class_maps(features)[:, 1, 2], expected)


def test_reduced_masks_number_their_cells_in_the_table_s_order_and_lose_none() -> None:
    mask = np.zeros((64, 64), np.uint16)
    mask[:30, :30], mask[40:, 40:], mask[33, 37] = 300, 7, 9
    cells = pd.DataFrame(
        {"cell_id": [7, 9, 300], "centroid_y": [51.5, 33.0, 14.5], "centroid_x": [51.5, 37.0, 14.5]}
    )
    found = number_cells(mask, cells, 8)
    assert found[1, 1] == 3
    assert found[7, 7] == 1
    assert found[4, 4] == 2
    assert set(np.unique(found)) == {0, 1, 2, 3}
