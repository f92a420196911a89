"""Trains the network of the ``unet`` segmenter on simulated fields."""

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from common.engine import Callback, LightningModule, ModelCheckpoint, Trainer, quiet_lightning
from common.errors import DataError
from common.forward import loader_options
from common.segmentation.unet import TrainedUnet, build_network
from common.segmenter_training.recipe import UnetRecipe
from common.segmenter_training.scenes import Scenes
from common.segmenter_training.targets import loss
from common.tracking import Run


class Learner(LightningModule):
    """The network, and how it learns. Epoch e sees batches e * steps to (e + 1) * steps of the scenes."""

    def __init__(self, recipe: UnetRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = build_network(recipe.network)

    def train_dataloader(self) -> DataLoader[Any]:
        learning = self.recipe.learning
        scenes = Scenes(
            self.recipe.scenes, learning.seed, self.recipe.network.um_per_px, learning.fields, self.batches
        )
        first = self.current_epoch * learning.steps
        return DataLoader(
            Subset(scenes, range(first, first + learning.steps)), batch_size=None, **loader_options()
        )

    @property
    def batches(self) -> int:
        return self.recipe.learning.epochs * self.recipe.learning.steps

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        pixels, targets = batch
        found = loss(self.network(pixels.to(memory_format=torch.channels_last)).float(), targets)
        if not torch.isfinite(found):
            raise DataError(
                f"the loss is {found.item()} in epoch {self.current_epoch}, batch {index}; lower learning.lr"
            )
        self.log("train/loss", found, on_step=False, on_epoch=True, batch_size=len(pixels))
        return found

    def configure_optimizers(self) -> Any:
        learning = self.recipe.learning
        optimizer = torch.optim.AdamW(
            self.network.parameters(), learning.lr, weight_decay=learning.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning.lr, self.batches, pct_start=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Tell(Callback):
    """Hands the loss of each epoch to a W&B run and to the reader."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = trainer.callback_metrics["train/loss"].item()
        self.run.log({"epoch": trainer.current_epoch, "train/loss": found})
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: train/loss {found:.4f}", flush=True)


def train(recipe: UnetRecipe, scratch: Path, run: Run) -> TrainedUnet:
    """Train the network that the recipe describes.

    Args:
        scratch: a folder for the last checkpoint. Where it holds one, training goes on from there, to the same
            weights as without the break.

    Raises:
        DataError: the loss became NaN or infinite.
    """
    quiet_lightning()
    torch.manual_seed(recipe.learning.seed)  # initial weights; all else has its own generator
    learner = Learner(recipe)
    last = scratch / "last.ckpt"
    trainer = Trainer(
        max_epochs=recipe.learning.epochs,
        precision=recipe.learning.precision,
        callbacks=[
            ModelCheckpoint(dirpath=scratch, filename="last", enable_version_counter=False),
            Tell(run),
        ],
        logger=False,
        devices=1,
        enable_progress_bar=os.isatty(2),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        default_root_dir=scratch,
    )
    trainer.fit(learner, ckpt_path=last if last.exists() else None)
    return TrainedUnet(learner.network.eval(), recipe.network)


def checkpoint_folder(out: Path, recipe: UnetRecipe) -> Path:
    """Where the checkpoints of a recipe lie, beside its output: another recipe or another code starts anew."""
    known = hashlib.sha256(recipe.model_dump_json().encode())
    for source in sorted(Path(__file__).parents[1].glob("seg*/*.py")):
        known.update(source.read_bytes())
    return out.parent / f".{out.name}.checkpoint-{known.hexdigest()[:16]}"
