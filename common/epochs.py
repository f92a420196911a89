"""The loop of a training, on Lightning Fabric: devices and precision are its job, the way back after a break is ours.

Lightning's ``Trainer`` divides the gradient of an epoch's short last step by too many batches, and never validates an
epoch that it resumes behind the last batch (2.6.6, both tried).
"""

import math
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from common.averaging import Average, snapshot
from common.devices import gather
from common.engine import Fabric
from common.errors import DataError
from common.forward import loader_options
from common.keeping import Keeper
from common.metrics.validation import validation_metrics
from common.progress import track
from common.resuming import Checkpoint, StopSignals
from common.sampling import EpochBatches, order_of
from common.schedules import build_schedule
from common.step import Labelled, Step
from common.tracking import Run
from common.training_params import TrainingStep

NAMED = 20
"""So many items of a batch are named."""


class Training:
    """One step of a training, as far as it has come."""

    def __init__(
        self, fabric: Fabric, step: Step, params: TrainingStep, train: Labelled, valid: Dataset[Any]
    ) -> None:
        self.fabric, self.step, self.params, self.train = fabric, step, params.trainer, train
        order = order_of(params.sampler, train.targets, self.params.seed)
        self.batches = EpochBatches(order, self.params.batch_size, fabric.global_rank, fabric.world_size)
        self.batches.epoch = step.first_epoch
        self.loader: Any = DataLoader(train, batch_sampler=self.batches, **loader_options())  # type: ignore[arg-type]
        mine = Subset(valid, range(fabric.global_rank, len(valid), fabric.world_size))  # type: ignore[arg-type]
        self.valid: Any = DataLoader(mine, self.params.batch_size // fabric.world_size, **loader_options())
        self._set_up_learning(params)
        self.average = Average(self.params.ema, self.params.swa_from, self.params.epochs)
        self.keeper = Keeper(self.params)
        self._begin_epoch()
        self.pending: list[int] = []
        """Rows whose gradient the optimiser has not yet used."""

    def _set_up_learning(self, params: TrainingStep) -> None:
        network = self.step.network
        self.layout = torch.channels_last if self.params.channels_last else torch.preserve_format
        network.to(memory_format=self.layout)  # type: ignore[call-overload]
        optimizer = params.optimizer.build(network.parameters(), self.params.precision)
        steps = math.ceil(len(self.batches) / self.params.accumulate) * self.params.epochs
        self.scheduler, self.clock = build_schedule(optimizer, params.schedule, self.params.epochs, steps)
        self.forward, self.optimizer = self.fabric.setup(network, optimizer)

    @property
    def epoch(self) -> int:
        """Of this step, from 0."""
        return self.batches.epoch - self.step.first_epoch

    @property
    def _place(self) -> str:
        return f"epoch {self.batches.epoch}, batch {self.batches.done}"

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left, or no patience."""
        return self.epoch >= self.params.epochs or self.keeper.stops

    def run(self, checkpoint: Checkpoint, signals: StopSignals, run: Run) -> None:
        """Train to the end, from the checkpoint if there is one."""
        self.checkpoint, self.signals = checkpoint, signals
        if state := checkpoint.read():
            self.load_state_dict(state)
            for row in self.keeper.history:
                run.log(row)
            if not self.finished:
                self._say(f"{self.step.name}: goes on from {self._place}")
        while not self.finished:
            speed = self._train_epoch()
            judged = self.average.applied_to(self.step.network)
            measured = self._validate(judged)
            loss, items = np.sum(gather(self.fabric, [(self.loss_sum, self.items)]), axis=0)
            row = {
                "step": self.step.name,
                "epoch": self.batches.epoch,
                "train/loss": float(loss / items),
                **measured,
                "lr": self.lr,
            }
            self.keeper.judge(row, snapshot(judged))
            self.batches.epoch, self.batches.done = self.batches.epoch + 1, 0
            self._begin_epoch()
            self._save()
            run.log(row | speed)
            self._say(", ".join(f"{key} {_short(value)}" for key, value in (row | speed).items()))

    def _begin_epoch(self) -> None:
        self.loss_sum, self.items, self.lr = 0.0, 0, 0.0

    def _train_epoch(self) -> dict[str, float]:
        self.step.network.train()
        started, first = time.monotonic(), self.items
        left = len(self.batches) - self.batches.done
        for pixels, targets, rows in track(self.loader, left, f"epoch {self.batches.epoch}"):
            self._learn(pixels, targets, rows.tolist())
            self._pause()
        seconds = time.monotonic() - started
        seen = (self.items - first) * self.fabric.world_size
        return {"epoch_s": seconds, "images/s": seen / max(seconds, 1e-9)}

    def _learn(self, pixels: Tensor, targets: Tensor, rows: list[int]) -> None:
        """One batch: its gradient is added, and used where a step of the optimiser is full."""
        number, size = self.batches.done, self.params.accumulate
        first = number - number % size
        window = range(first, min(first + size, len(self.batches)))
        full, last = number == window[-1], number == len(self.batches) - 1
        # Dropout and the like follow from the place in the training, not from what was drawn before.
        place = (self.params.seed, self.batches.epoch, number, self.fabric.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1))
        share = (self.epoch + number / len(self.batches)) / self.params.epochs
        with self.fabric.no_backward_sync(self.forward, enabled=not full):
            loss = self.step.training_loss(self.forward, *self._placed(pixels, targets), share)
            value = loss.item()
            self._refuse_unless_finite("loss", value, rows)
            weight = len(rows) * self.fabric.world_size / self.batches.items(window)
            self.fabric.backward(loss * weight)
        self.loss_sum, self.items = self.loss_sum + value * len(rows), self.items + len(rows)
        self.pending += rows
        if full:
            self._optimise()
        if last:
            self.average.after_epoch(self.step.network, self.epoch)
            if self.clock == "epoch":
                self.scheduler.step()
        self.batches.done += 1

    def _optimise(self) -> None:
        longest = self.params.clip_norm or math.inf
        norm = self.fabric.clip_gradients(
            self.forward, self.optimizer, max_norm=longest, error_if_nonfinite=False
        )
        # In 16-mixed an infinite gradient is left out, and tells the scale to go down.
        if self.params.precision != "16-mixed":
            self._refuse_unless_finite("gradient", float(norm), self.pending)  # type: ignore[arg-type]
        self.lr = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.pending = []
        self.average.after_step(self.step.network)
        if self.clock == "step":
            self.scheduler.step()

    @torch.no_grad()
    def _validate(self, network: nn.Module) -> dict[str, float]:
        network.eval()
        found = []
        for pixels, targets, rows in track(self.valid, len(self.valid), "validation"):
            pixels, targets = self._placed(pixels, targets)
            with self.fabric.autocast():
                logits = network(pixels).float()
            loss = self.step.loss(logits, targets).item() * len(rows)
            judged = self.step.judged(logits.sigmoid(), targets)
            found.append((*(each.cpu().numpy() for each in judged), loss, len(rows)))
            if self.fabric.world_size == 1:  # the others may have fewer batches, and would not answer
                self._pause()
        probabilities, labels, losses, items = zip(*gather(self.fabric, found), strict=True)
        all_probabilities, all_labels = np.concatenate(probabilities), np.concatenate(labels)
        if np.isnan(all_probabilities).any():
            raise DataError(
                f"epoch {self.batches.epoch}: the network answers NaN to validation items; lower optimizer.lr"
            )
        return {"val/loss": sum(losses) / sum(items)} | validation_metrics(all_probabilities, all_labels)

    def _placed(self, pixels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        there: dict[str, Any] = {"device": self.fabric.device, "non_blocking": True}
        return pixels.to(memory_format=self.layout, **there), targets.to(**there)

    def _refuse_unless_finite(self, what: str, value: float, rows: list[int]) -> None:
        if math.isfinite(value):
            return
        names = ", ".join(self.train.name(row) for row in rows[:NAMED])
        more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
        advice = "look at these, or lower optimizer.lr"
        raise DataError(f"the {what} is {value} in {self._place}, of {names}{more}; {advice}")

    def _pause(self) -> None:
        """Write a checkpoint where it is time, and leave where we were told to."""
        if self.pending and self.fabric.world_size > 1:
            return  # each process has a gradient of its own, and one writes
        stop = int(self.signals.received)
        if self.fabric.world_size > 1:
            stop = int(self.fabric.all_reduce(torch.tensor(stop, device=self.fabric.device), reduce_op="max"))  # type: ignore[arg-type]
        if stop or self.checkpoint.due:
            self._save()
        if stop:
            self.fabric.barrier()  # whoever leaves first ends the others
            self._say(f"stopped by signal {stop}; the same command goes on from here")
            sys.exit(128 + stop)

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            self.checkpoint.write(self.state_dict())

    def _say(self, text: str) -> None:
        if self.fabric.is_global_zero:
            print(text, flush=True)

    def state_dict(self) -> dict[str, Any]:
        """All that changes."""
        weights = self.step.network.parameters()
        return {
            "batches": self.batches.state_dict(),
            "network": self.step.network.state_dict(),
            "optimizer": self.optimizer.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "average": self.average.state_dict(),
            "keeper": self.keeper.state_dict(),
            "epoch": [self.loss_sum, self.items, self.lr],
            "pending": self.pending,
            "gradients": [weight.grad for weight in weights] if self.pending else [],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.batches.load_state_dict(state["batches"])
        self.step.network.load_state_dict(state["network"])
        self.optimizer.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.average.load_state_dict(state["average"], self.fabric.device)
        self.keeper.load_state_dict(state["keeper"])
        self.loss_sum, self.items, self.lr = state["epoch"]
        self.pending = state["pending"]
        for weight, gradient in zip(self.step.network.parameters(), state["gradients"], strict=False):
            weight.grad = None if gradient is None else gradient.to(weight.device)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
