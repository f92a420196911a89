"""Training: it learns, keeps the best epoch, repeats exactly, and stops at NaN with the crops at fault."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import Dataset

from common.errors import DataError
from common.forward import predict
from common.schedules import OptimizerParams, TrainerParams, WarmRestarts
from common.training import Step, fit

PARAMS = TrainerParams(epochs=6, batch_size=8, patience=3, precision="32-true", seed=0)
ADAM = OptimizerParams(name="adam", lr=0.05)
RESTARTS = WarmRestarts(first_period=10, period_factor=1, lowest_lr=1e-6)


class Points(Dataset[tuple[Tensor, Tensor, int]]):
    """64 points whose two classes are the signs of their coordinates."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.points = torch.randn(64, 2, generator=generator)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, key: Any) -> tuple[Tensor, Tensor, int]:
        index = key[1] if isinstance(key, tuple) else key
        return self.points[index], (self.points[index] > 0).float(), index


class Log:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def log(self, data: dict[str, Any]) -> None:
        self.rows.append(data)


def train(folder: Path, optimizer: OptimizerParams = ADAM) -> tuple[nn.Module, Log]:
    torch.manual_seed(0)
    step, run = Step(nn.Linear(2, 2), binary_cross_entropy_with_logits, optimizer, RESTARTS), Log()
    fit(step, Points(0), Points(1), PARAMS, folder, run)
    return step.network, run


def test_training_learns_and_reports_each_epoch(tmp_path: Path) -> None:
    network, run = train(tmp_path)
    assert [row["epoch"] for row in run.rows] == list(range(6))
    assert run.rows[-1]["val/loss"] < 0.6 * run.rows[0]["val/loss"]
    assert run.rows[-1]["val/cell_ap"] > 0.98
    valid = Points(1)
    probabilities = predict(network, valid, 10)
    assert probabilities.shape == (64, 2)
    assert ((probabilities > 0.5) == (valid.points > 0).numpy()).mean() > 0.9


def test_two_trainings_are_equal(tmp_path: Path) -> None:
    first, second = train(tmp_path / "a")[0], train(tmp_path / "b")[0]
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_best_epoch_is_kept_and_patience_ends_the_rest(tmp_path: Path) -> None:
    diverging = OptimizerParams(name="adam", lr=30.0)
    network, run = train(tmp_path, diverging)
    losses = [row["val/loss"] for row in run.rows]
    outputs = predict(network, Points(1), 64)
    targets = (Points(1).points > 0).float()
    loss = nn.functional.binary_cross_entropy(torch.from_numpy(outputs).clamp(1e-7, 1 - 1e-7), targets)
    assert float(loss) == pytest.approx(min(losses), rel=0.2)
    assert len(losses) - 1 - int(np.argmin(losses)) <= PARAMS.patience


def test_nan_stops_the_training_and_names_its_crops(tmp_path: Path) -> None:
    data = Points(0)
    data.points[17] = float("nan")
    step = Step(nn.Linear(2, 2), binary_cross_entropy_with_logits, ADAM, RESTARTS)
    with pytest.raises(
        DataError, match=r"the loss is nan in epoch 0, batch \d, crops \[.*\b17\b.*\]; lower optimizer.lr"
    ):
        fit(step, data, Points(1), PARAMS, tmp_path, Log())
