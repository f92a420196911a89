"""What may be tuned of the segmenters that are networks. Nothing here needs torch."""

from pydantic import Field

from common.params import Params
from common.segmentation.label_cells import LabelCellsParams


class UnetNetwork(Params):
    """The network itself: it is kept beside its weights."""

    encoder: str = "resnet18"
    """An encoder of segmentation-models-pytorch; ``tu-<model>`` is one of timm."""
    decoder_channels: tuple[int, ...] = Field(default=(128, 64, 32, 16, 8), min_length=3, max_length=5)
    """Width of each step of the decoder, the coarsest first; as many as the encoder has steps."""
    um_per_px: float = Field(default=0.32, gt=0)
    """Size of a pixel that the network sees: .32 um makes 512 px of a field of 164 um."""


class UnetParams(Params):
    """How our U-Net is run and its maps are read."""

    field_width_um: float = Field(default=164.0, gt=0)
    """Longer side of the picture, um (2048 px of .08 um)."""
    batch_size: int = Field(default=4, ge=1)
    """Pictures of equal size that go through the network together."""
    nucleus_threshold: float = Field(default=0.5, gt=0, lt=1)
    """A nucleus is where its interior is more probable than this."""
    cell_threshold: float = Field(default=0.5, gt=0, lt=1)
    """A cell is where its border and interior together are more probable than this."""
    join_threshold: float = Field(default=0.1, ge=0, le=1)
    """Two nuclei share a cell where the border between them is less probable than this; 0: none do."""
    min_nucleus_um2: float = Field(default=16.0, ge=0)
    """Smaller nuclei are dropped, um2."""
    min_cell_um2: float = Field(default=60.0, ge=0)
    """Smaller cells are dropped, um2."""


class HpaCellSegParams(Params):
    """How the official networks are run and their maps are read."""

    trust_pickle: bool = False
    """Their weights are pickles, which run the code in them when they are loaded: true if you trust the source."""
    field_width_um: float = Field(default=164.0, gt=0)
    """Longer side of the picture, um (2048 px of .08 um)."""
    batch_size: int = Field(default=4, ge=1)
    """Pictures of equal size that go through the networks together."""
    labelling: LabelCellsParams = LabelCellsParams()
    """How the maps become masks; its ``field_width_um`` is not looked at."""


class CellposeParams(Params):
    """How cellpose is run."""

    field_width_um: float = Field(default=164.0, gt=0)
    """Longer side of the picture, um (2048 px of .08 um)."""
    um_per_px: float = Field(default=0.64, gt=0)
    """Size of a pixel that cellpose sees: cells are about 50 px wide at .64 um."""
    batch_size: int = Field(default=8, ge=1)
    """Tiles that go through the network together."""
