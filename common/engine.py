"""Lightning, made importable where torchvision has no operators, and quiet."""

import logging
import warnings

from common.torchvision_ops import declare_torchvision_ops

declare_torchvision_ops()  # Lightning imports torchvision, through torchmetrics

from lightning import Callback, Fabric, LightningModule, Trainer  # noqa: E402
from lightning.pytorch.callbacks import ModelCheckpoint  # noqa: E402

__all__ = ["Callback", "Fabric", "LightningModule", "ModelCheckpoint", "Trainer", "quiet_lightning"]


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
