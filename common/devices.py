"""The devices that a training runs on, one process each."""

import os
from typing import Any

import torch
from torch.distributed import all_gather_object

from common.engine import Fabric
from common.errors import MachineError
from common.training_params import TrainerParams


def build_fabric(params: TrainerParams) -> Fabric:
    """Start the processes that a recipe asks for, or join those that torchrun or SLURM started.

    Raises:
        MachineError: there are fewer devices than that, or the precision needs a GPU.
    """
    gpus = torch.cuda.device_count()
    available = gpus or int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # torchrun may start several on a CPU
    if params.devices > available:
        kind = "GPUs" if gpus else "device, its CPU"
        raise MachineError(
            f"trainer.devices is {params.devices}, this machine has {available} {kind}; "
            f"set trainer.devices to {available}, the results stay nearly the same"
        )
    if params.precision == "16-mixed" and not gpus:
        raise MachineError("trainer.precision is 16-mixed, which needs a GPU; bf16-mixed runs here, too")
    fabric = Fabric(
        accelerator="cuda" if gpus else "cpu",
        devices=params.devices,
        num_nodes=params.nodes,
        precision=params.precision,
        strategy="ddp" if params.devices * params.nodes > 1 else "auto",
    )
    fabric.launch()
    return fabric


def gather(fabric: Fabric, mine: list[Any]) -> list[Any]:
    """The items of all processes, in the order of their ranks."""
    if fabric.world_size == 1:
        return mine
    found: list[list[Any]] = [[] for _ in range(fabric.world_size)]
    all_gather_object(found, mine)
    return [each for part in found for each in part]
