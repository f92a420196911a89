"""What ``segmenter/unet.yaml`` may say."""

from typing import Literal

from pydantic import Field

from common.params import Params
from common.segmentation.network_params import UnetNetwork
from common.segmenter_training.scenes import SceneParams


class LearningParams(Params):
    """The section ``learning``: AdamW, whose rate rises over the first tenth of all steps, then falls to nothing."""

    epochs: int = Field(ge=1)
    """A checkpoint is written after each."""
    steps: int = Field(ge=1)
    """Batches an epoch."""
    fields: int = Field(ge=1)
    """Simulated fields a batch."""
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"]
    seed: int = Field(ge=0)


class UnetRecipe(Params):
    """How the network of the ``unet`` segmenter is made."""

    network: UnetNetwork
    scenes: SceneParams
    learning: LearningParams
    held_out: int = Field(ge=1)
    """Simulated fields of each difficulty that the trained network is judged on."""
    difficulties: tuple[float, ...] = Field(default=(0.4, 0.8), min_length=1)
