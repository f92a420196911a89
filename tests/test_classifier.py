"""The networks of the published systems."""

import pytest
import torch
from torch import Tensor, nn

from common.backbones import BackboneParams, add_stem_pool, build_features
from common.classifier import Classifier, Head
from common.errors import ParamsError


class Same(nn.Module):
    """The pixels are the features."""

    def forward_features(self, pixels: Tensor) -> Tensor:
        return pixels


def features_of(name: str, pooled: bool) -> torch.Size:
    body, count = build_features(BackboneParams(name=name, pretrained=False), 4)
    if pooled:
        add_stem_pool(body)
    found = body.forward_features(torch.zeros(1, 4, 128, 128))  # type: ignore[operator]
    assert found.shape[1] == count
    size: torch.Size = found.shape[2:]
    return size


@pytest.mark.parametrize(("name", "side"), [("densenet121", 4), ("resnet10t", 4)])
def test_another_pooling_in_the_stem_halves_the_map(name: str, side: int) -> None:
    assert features_of(name, pooled=False) == (side, side)
    assert features_of(name, pooled=True) == (side // 2, side // 2)


def test_a_stem_without_pooling_and_a_network_without_maps_are_refused() -> None:
    with pytest.raises(ParamsError, match="has no pooling in its stem"):
        features_of("efficientnet_b0", pooled=True)
    with pytest.raises(ParamsError, match="has no map of features"):
        build_features(BackboneParams(name="vit_tiny_patch16_224", pretrained=False), 4)


def test_the_head_of_system_a() -> None:
    head = Head(pool="avg+max", hidden=1024, dropout=0.5)
    network = Classifier(Same(), 1024, head, (0.0,), (1.0,))
    layers = [type(layer) for part in (network.embed, network.classify) for layer in part]  # type: ignore[attr-defined]
    expected = [nn.BatchNorm1d, nn.Dropout, nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Dropout, nn.Linear]
    assert layers == expected
    assert network.embed[0].num_features == 2048  # type: ignore[index]
    assert network.classify[-1].in_features == 1024


def test_whole_numbers_and_shares_of_white_are_the_same_pixels() -> None:
    network = Classifier(Same(), 3, Head(), (0.1, 0.2, 0.3), (0.1, 0.2, 0.3)).eval()
    pixels = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    torch.testing.assert_close(network(pixels), network(pixels / 255))
    expected = (pixels / 255 - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.1, 0.2, 0.3])[
        :, None, None
    ]
    torch.testing.assert_close(network.features(pixels), expected)
