"""What the epochs of a training have shown: their metrics, the best weights, and when to stop."""

import math
from typing import Any

from common.averaging import State
from common.errors import DataError
from common.training_params import TrainerParams


class Keeper:
    """The history of a training, and the weights worth keeping."""

    def __init__(self, params: TrainerParams) -> None:
        self.params = params
        self.history: list[dict[str, Any]] = []
        self.kept: list[tuple[float, State]] = []
        """The best epochs' value of ``monitor`` and weights, best first."""
        self.last: State = {}
        """The weights of the last epoch."""
        self.stale = 0
        """Epochs since the best."""

    def judge(self, row: dict[str, Any], weights: State) -> None:
        """Take in an epoch.

        Raises:
            DataError: what decides about the epochs is NaN.
        """
        monitor = self.params.monitor
        value = row[monitor]
        if math.isnan(value):
            raise DataError(
                f"{monitor} is NaN after epoch {row['epoch']}: no validation item is a positive of any class; "
                "check the labels and folds, or set trainer.monitor to val/loss"
            )
        sign = -1 if monitor == "val/loss" else 1
        better = not self.kept or sign * value > sign * self.kept[0][0]
        self.stale = 0 if better else self.stale + 1
        ranked = sorted([*self.kept, (value, weights)], key=lambda pair: -sign * pair[0])
        self.kept, self.last = ranked[: self.params.top_k], weights  # of equals the earlier stays ahead
        self.history.append(row)

    @property
    def stops(self) -> bool:
        """Whether patience is at an end."""
        patience = self.params.patience
        return patience is not None and self.stale > 0 and self.stale >= patience

    @property
    def chosen(self) -> State:
        """The weights that the network is left with."""
        return self.last if self.params.keep == "last" else self.kept[0][1]

    def state_dict(self) -> dict[str, Any]:
        """All that changes."""
        return {"history": self.history, "kept": self.kept, "last": self.last, "stale": self.stale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.history, self.kept, self.last = state["history"], state["kept"], state["last"]
        self.stale = state["stale"]
