"""Training runs on Lightning: devices, precision and checkpoints are its job, the step and the loss are ours."""

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from common.torchvision_ops import declare_torchvision_ops

declare_torchvision_ops()  # Lightning imports torchvision, through torchmetrics

from lightning import Callback, LightningModule, Trainer  # noqa: E402
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint  # noqa: E402

from common.errors import DataError  # noqa: E402
from common.forward import loader_options  # noqa: E402
from common.metrics.ranking import cell_average_precision  # noqa: E402
from common.sampling import EpochSampler  # noqa: E402
from common.schedules import OptimizerParams, TrainerParams, WarmRestarts  # noqa: E402
from common.tracking import Run  # noqa: E402

Loss = Callable[[Tensor, Tensor], Tensor]


class Step(LightningModule):
    """Any network with any loss; batches are (pixels (B, C, H, W), targets (B, classes), rows (B,))."""

    def __init__(
        self, network: nn.Module, loss: Loss, optimizer: OptimizerParams, schedule: WarmRestarts
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self.optimizer_params, self.schedule_params = optimizer, schedule
        self.outputs: list[tuple[np.ndarray, np.ndarray]] = []

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> Tensor:
        pixels, targets, rows = batch
        loss = self.loss(self.network(pixels), targets)
        if not torch.isfinite(loss):
            raise DataError(
                f"the loss is {loss.item()} in epoch {self.current_epoch}, batch {index}, crops {rows.tolist()}; "
                "lower optimizer.lr or look at these crops"
            )
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(rows))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> None:
        pixels, targets, _ = batch
        logits = self.network(pixels)
        self.log("val/loss", self.loss(logits, targets), batch_size=len(targets))
        self.outputs.append((logits.float().sigmoid().cpu().numpy(), targets.cpu().numpy()))

    def on_validation_epoch_end(self) -> None:
        probabilities, targets = (np.concatenate(parts) for parts in zip(*self.outputs, strict=True))
        self.outputs.clear()
        self.log("val/cell_ap", cell_average_precision(probabilities, targets > 0.5)[0])

    def configure_optimizers(self) -> Any:
        chosen = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.optimizer_params.name]
        options = {"lr": self.optimizer_params.lr, "weight_decay": self.optimizer_params.weight_decay}
        optimizer = chosen(self.network.parameters(), **options)
        schedule = self.schedule_params
        scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
            optimizer, schedule.first_period, schedule.period_factor, schedule.lowest_lr
        )
        return {"optimizer": optimizer, "lr_scheduler": scheduler}


class Report(Callback):
    """Hands each epoch's metrics to a W&B run and keeps them."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.history: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        self.history.append({"epoch": trainer.current_epoch, **metrics})
        self.run.log(self.history[-1])
        loss, ap = metrics["val/loss"], metrics["val/cell_ap"]
        print(f"epoch {trainer.current_epoch}: val/loss {loss:.4f}, val/cell_ap {ap:.3f}", flush=True)


def fit(
    step: Step, train: Dataset[Any], valid: Dataset[Any], params: TrainerParams, scratch: Path, run: Run
) -> list[dict[str, float]]:
    """Train ``step.network`` and leave it with the weights of the epoch with the lowest validation loss.

    Args:
        train: indexed by ``(epoch, index)``; ``valid`` by index.
        scratch: a folder for checkpoints.

    Returns:
        The metrics of each epoch.

    Raises:
        DataError: the loss became NaN or infinite; names the crops of the batch.
    """
    quiet_lightning()
    best = ModelCheckpoint(dirpath=scratch, filename="best", monitor="val/loss", save_weights_only=True)
    report = Report(run)
    trainer = Trainer(
        max_epochs=params.epochs,
        precision=params.precision,
        callbacks=[best, EarlyStopping("val/loss", patience=params.patience), report],
        logger=False,
        enable_progress_bar=os.isatty(2),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=scratch,
    )
    sampler = EpochSampler(len(train), params.seed)  # type: ignore[arg-type]
    batches = DataLoader(train, params.batch_size, sampler=sampler, **loader_options())
    trainer.fit(step, batches, DataLoader(valid, params.batch_size, **loader_options()))
    step.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
    return report.history


def quiet_lightning() -> None:
    """Keep Lightning's advice and advertisements out of a stage's output."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*is smaller than the logging interval.*",
        ".*LeafSpec.*",
        ".*litlogger.*",
        ".*exists and is not empty.*",  # a checkpoint to go on from
    ):
        warnings.filterwarnings("ignore", message)
