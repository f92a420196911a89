"""What the epochs of a training have shown: their metrics, the best weights, and when to stop."""

import math
from typing import Any

from common.averaging import State
from common.errors import DataError
from common.training_params import TrainerParams

STATE = ("history", "kept", "last", "recent", "stale")


class Keeper:
    """The history of a training, and the weights worth keeping."""

    def __init__(self, params: TrainerParams) -> None:
        self.params = params
        self.history: list[dict[str, Any]] = []
        self.kept: list[tuple[float, State]] = []
        """The best epochs' value of ``monitor`` and weights, best first."""
        self.last: State = {}
        """The weights of the last epoch."""
        self.recent: list[State] = []
        """The weights of as many of the last epochs as ``ensemble`` has weights."""
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
        self.recent = [*self.recent, weights][-len(self.params.ensemble) :] if self.params.ensemble else []
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

    @property
    def networks(self) -> list[tuple[float, State]]:
        """The networks that predict together, each with its share."""
        among = zip(self.params.ensemble, self.recent, strict=True)
        states = [state for weight, state in among if weight] or [self.chosen]
        return list(zip(self.params.shares, states, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """All that changes."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        for name in STATE:
            setattr(self, name, state[name])
