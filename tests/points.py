"""A training of seconds: points in a plane."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from common.params import build
from common.step import Step
from common.training import History, fit
from common.training_params import TrainingStep
from common.training_run import NoRun

SAY_NOTHING = NoRun()


def step_of(**trainer: Any) -> TrainingStep:
    given = {
        "loss": {"bce": {}},
        "optimizer": {"name": "adam", "lr": trainer.pop("lr", 0.05)},
        "schedule": {"warm_restarts": {"first_period": 10, "period_factor": 1, "lowest_lr": 1e-6}},
        "trainer": {"epochs": 6, "batch_size": 8, "precision": "32-true", "seed": 0} | trainer,
    }
    return build(TrainingStep, given, "step")


class Points(Dataset[Any]):
    """Points whose two classes are the signs of their coordinates."""

    def __init__(self, seed: int, count: int = 64) -> None:
        self.points = torch.randn(count, 2, 1, 1, generator=torch.Generator().manual_seed(seed))
        self.targets = (self.points[..., 0, 0] > 0).float().numpy()

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, key: Any) -> tuple[Tensor, Tensor, int]:
        index = key[1] if isinstance(key, tuple) else key
        return self.points[index], torch.from_numpy(self.targets[index]), index

    def name(self, row: int) -> str:
        return f"image-{row}"


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 2))


def train(
    folder: Path, params: TrainingStep, count: int = 64, valid: Points | None = None
) -> tuple[nn.Module, History]:
    step = Step(make_network(), params.loss)
    history = fit(step, Points(0, count), valid or Points(1), params, folder, SAY_NOTHING)
    return step.network, history
