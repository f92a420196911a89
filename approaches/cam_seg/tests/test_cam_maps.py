"""Maps: normalised by hand, views undone, ensembles of the published weights."""

import numpy as np
import torch

from approaches.cam_seg.maps import combine, enlarge, normalise_maps, predict_maps, shares
from approaches.cam_seg.network import build_classifier
from approaches.cam_seg.recipe import MapParams, Member
from common.backbones import BackboneParams


def test_maps_are_shares_of_their_maximum_where_the_class_is_labelled() -> None:
    maps = torch.tensor([[[[4.0, -1.0]], [[3.0, 6.0]], [[-2.0, -1.0]]]])
    found = normalise_maps(maps, torch.tensor([[1.0, 0.0, 1.0]]))
    expected = torch.tensor([[[[4 / (4 + 1e-5), 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]]])
    torch.testing.assert_close(found, expected)


def test_probabilities_weigh_maps() -> None:
    found = normalise_maps(torch.tensor([[[[4.0, 2.0]]]]), torch.tensor([[0.5]]))
    torch.testing.assert_close(found, torch.tensor([[[[0.5, 0.25]]]]), atol=1e-5, rtol=0)


def test_views_are_averaged_and_logits_are_of_the_whole_map() -> None:
    torch.manual_seed(0)
    network = build_classifier(BackboneParams(name="test_resnet", pretrained=False), 4, 38).eval()
    pixels = torch.rand(2, 4, 64, 64)
    with torch.no_grad():
        maps, probabilities = predict_maps(network, pixels, ["identity", "hflip"], (2, 2))
        plain, turned = (network.maps_of(network.features(each)) for each in (pixels, pixels.flip(-1)))
        wanted = [network(each)[:, :19].sigmoid() for each in (pixels, pixels.flip(-1))]
    torch.testing.assert_close(maps, (plain.relu() + turned.relu().flip(-1))[:, :19] / 2)
    torch.testing.assert_close(probabilities, (wanted[0] + wanted[1]) / 2)


def test_the_published_views_give_maps_of_any_size() -> None:
    network = build_classifier(BackboneParams(name="test_resnet", pretrained=False), 4).eval()
    with torch.no_grad():
        maps, probabilities = predict_maps(network, torch.rand(1, 4, 64, 64), MapParams().views, (20, 24))
    assert maps.shape == (1, 19, 20, 24)
    assert probabilities.shape == (1, 19)


def test_the_published_ensemble_shares_maps_among_all_and_probabilities_among_classifiers() -> None:
    classifiers = [0.05, 0.12, 0.062, 0.072, 0.05, 0.04, 0.066, 0.04]
    segmenters = [0.05, 0.13, 0.22, 0.05, 0.05]
    members = [Member(weight=w, role="both") for w in classifiers]
    members += [Member(weight=w, role="maps") for w in segmenters]
    np.testing.assert_allclose(shares(members, "maps"), [*classifiers, *segmenters])
    np.testing.assert_allclose(shares(members, "probabilities"), [w / 0.5 for w in classifiers] + [0] * 5)


def test_an_ensemble_is_a_weighted_mean_without_traces() -> None:
    ones = np.array([[[1.0, 0.0, 2e-6]]], np.float32)
    found = combine(iter([ones, 3 * ones]), [0.25, 0.25])
    np.testing.assert_allclose(found, [[[1.0, 0.0, 2e-6]]])
    faint = combine([ones], [0.5])
    np.testing.assert_array_equal(faint, np.array([[[0.5, 0.0, 0.0]]], np.float32))
    assert found.dtype == np.float32


def test_maps_are_enlarged_between_the_middles_of_their_places() -> None:
    found = enlarge(np.array([[[0.0, 1.0]]]), (1, 4))
    np.testing.assert_allclose(found, [[[0.0, 0.25, 0.75, 1.0]]])
