"""Averages of weights: by hand, against torch, and the network itself left as it is."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from common.averaging import Average


def network_of(value: float) -> nn.Module:
    network = nn.BatchNorm1d(1)
    nn.init.constant_(network.weight, value)
    assert network.running_mean is not None
    network.running_mean.fill_(10 * value)
    return network


def test_a_moving_average_by_hand() -> None:
    average = Average(0.5, None, epochs=4)
    for value in (1.0, 2.0, 4.0):  # the decay is 1/10, 2/11, 3/12: it has not yet risen to .5
        average.after_step(network_of(value))
    second = 1 + (2 - 1) * (1 - 2 / 11)
    expected = second + (4 - second) * (1 - 3 / 12)
    assert average.weights["weight"].item() == pytest.approx(expected)
    assert average.weights["running_mean"].item() == pytest.approx(10 * expected)
    average.after_epoch(network_of(100.0), epoch=3)
    assert average.weights["weight"].item() == pytest.approx(expected)


def test_the_decay_ends_at_that_of_the_recipe() -> None:
    average = Average(0.5, None, epochs=4)
    average.after_step(network_of(1.0))
    average.count = 100
    average.after_step(network_of(2.0))
    assert average.weights["weight"].item() == pytest.approx(1.5)


def test_a_plain_mean_equals_torch_from_its_first_epoch_on() -> None:
    average, peer = Average(0.0, 0.4, epochs=5), AveragedModel(network_of(0.0), use_buffers=True)
    for epoch, value in enumerate((1.0, 5.0, 2.0, 7.0, 3.0)):
        average.after_step(network_of(value))
        average.after_epoch(network_of(value), epoch)
        if epoch >= 2:
            peer.update_parameters(network_of(value))
    assert average.weights["weight"].item() == pytest.approx(4.0)
    for name, expected in peer.module.state_dict().items():
        assert torch.allclose(average.weights[name].float(), expected.float()), name


def test_without_an_average_the_network_judges_itself() -> None:
    average, network = Average(0.0, None, epochs=5), network_of(1.0)
    average.after_step(network)
    average.after_epoch(network, 4)
    assert average.applied_to(network) is network


def test_the_network_learns_on_from_its_own_weights() -> None:
    average, network = Average(0.9, None, epochs=5), network_of(1.0)
    average.after_step(network_of(3.0))
    judged = average.applied_to(network)
    assert (judged.state_dict()["weight"].item(), network.state_dict()["weight"].item()) == (3.0, 1.0)
