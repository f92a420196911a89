"""What is kept of a training: the best epochs by a monitor, and when patience ends."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from common.errors import DataError
from common.keeping import Keeper
from common.training_params import TrainerParams


def keeper_of(values: Sequence[float], **params: Any) -> Keeper:
    keeper = Keeper(TrainerParams(epochs=9, batch_size=8, precision="32-true", seed=0, **params))
    for epoch, value in enumerate(values):
        row = {"epoch": epoch, keeper.params.monitor: value}
        keeper.judge(row, {"w": torch.tensor(float(epoch))})
    return keeper


def epochs(keeper: Keeper) -> list[float]:
    return [weights["w"].item() for _, weights in keeper.kept]


def test_the_lowest_loss_or_the_highest_of_the_others_is_best() -> None:
    assert epochs(keeper_of([3, 1, 2])) == [1]
    assert epochs(keeper_of([3, 1, 2], monitor="val/map")) == [0]
    assert epochs(keeper_of([3, 1, 2, 5], monitor="val/soft_map", top_k=3)) == [3, 0, 2]


def test_of_equals_the_earlier_is_better() -> None:
    keeper = keeper_of([2, 1, 1, 1], top_k=2)
    assert epochs(keeper) == [1, 2]
    assert keeper.stale == 2


@pytest.mark.parametrize(
    ("patience", "values", "stops"),
    [
        (None, [1, 2, 3, 4], False),
        (2, [1, 2, 0.5, 2], False),
        (2, [1, 2, 0.5, 2, 3], True),
        (0, [3, 2, 1], False),
        (0, [3, 2, 4], True),
    ],
)
def test_patience(patience: int | None, values: list[float], stops: bool) -> None:
    assert keeper_of(values, patience=patience).stops == stops


def test_the_network_gets_the_best_or_the_last() -> None:
    assert keeper_of([2, 1, 3]).chosen["w"] == 1
    assert keeper_of([2, 1, 3], keep="last").chosen["w"] == 2


def test_an_epoch_that_cannot_be_judged_is_an_error() -> None:
    with pytest.raises(
        DataError, match=r"val/soft_map is NaN after epoch 1: .* set trainer.monitor to val/loss"
    ):
        keeper_of([0.5, float("nan")], monitor="val/soft_map")


def test_it_goes_on_from_what_it_said() -> None:
    whole, early, late = (keeper_of([3, 1, 2, 5][:count], top_k=2) for count in (4, 2, 0))
    late.load_state_dict(early.state_dict())
    for epoch, value in ((2, 2.0), (3, 5.0)):
        late.judge({"epoch": epoch, "val/loss": value}, {"w": torch.tensor(float(epoch))})
    assert (late.history, epochs(late), late.stale) == (whole.history, epochs(whole), whole.stale)
