"""Running a trained network over data, seen in several ways."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from common.errors import ParamsError
from common.forward import loader_options, predict


class Ramps(Dataset[Any]):
    """Pictures whose left upper pixel tells them apart."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        pixels = torch.arange(16.0).reshape(1, 4, 4) + index
        return pixels, torch.zeros(1), index


class Corner(nn.Module):
    """Answers with the upper left pixel."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels[:, :, 0, 0] / 10


def test_items_are_predicted_in_their_order() -> None:
    expected = 1 / (1 + np.exp(-np.arange(5) / 10))
    np.testing.assert_allclose(predict(Corner(), Ramps(), 1)[:, 0], expected, rtol=1e-6)


def test_several_views_are_averaged_as_probabilities() -> None:
    corners = np.arange(5)[:, None] + np.array([0, 3])
    expected = (1 / (1 + np.exp(-corners / 10))).mean(axis=1)
    found = predict(Corner(), Ramps(), 1, views=("identity", "hflip"))
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def test_the_number_of_loaders_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = predict(Corner(), Ramps(), 1)
    monkeypatch.setenv("HPA_LOADERS", "2")
    assert loader_options()["num_workers"] == 2
    np.testing.assert_array_equal(predict(Corner(), Ramps(), 1), alone)
    monkeypatch.setenv("HPA_LOADERS", "some")
    with pytest.raises(ParamsError, match="HPA_LOADERS is 'some', expected a whole number from 0"):
        loader_options()
