"""The truth file of the competition's score: one row a cell and class, with the cell's mask as text."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.classes import CLASSES
from common.errors import DataError
from common.metrics.matching import Truth
from common.metrics.overlap import rle_overlap
from common.rle import RLE, decode_text
from common.submission import CLASS_OF, read_records

COLUMNS = ("ImageID", "ImageWidth", "ImageHeight", "LabelName", "IsGroupOf", "Mask")
NO_MASK = "-1"


@dataclass
class ImageObjects:
    """What the file says of one image.

    Attributes:
        width, height: pixels.
        class_id, group_of, masks: of each object that has a mask, in the order of the file.
        named: (19,) bool, classes that any row names, with or without a mask.
    """

    width: int
    height: int
    class_id: list[int] = field(default_factory=list)
    group_of: list[bool] = field(default_factory=list)
    masks: list[RLE] = field(default_factory=list)
    named: np.ndarray = field(default_factory=lambda: np.zeros(len(CLASSES), dtype=bool))

    def against(self, masks: list[RLE]) -> Truth:
        """The objects as the metric takes them, with their overlap with the distinct predicted masks."""
        group_of = np.array(self.group_of, dtype=bool)
        overlap = rle_overlap(masks, self.masks, group_of)
        return Truth(np.array(self.class_id, dtype=np.int64), group_of, overlap, self.named)


def read_solution(path: Path, faults: list[str]) -> dict[str, ImageObjects]:
    """Objects of each image.

    Args:
        path: CSV with ImageID, ImageWidth, ImageHeight, LabelName, IsGroupOf (0 or 1), Mask (``-1`` = none).
        faults: what is wrong with the file is added to it, with file, row and reason; such rows are left out.
    """
    images: dict[str, ImageObjects] = {}
    try:
        for line, record in read_records(path, COLUMNS):
            try:
                _add_object(images, record)
            except DataError as error:
                faults.append(f"{path.name} row {line}: {error}")
    except DataError as error:
        faults.append(str(error))
    return images


def _add_object(images: dict[str, ImageObjects], record: tuple[str, ...]) -> None:
    """Take one row into its image.

    Raises:
        DataError: with the plain reason why the row cannot be used.
    """
    image_id, width, height, label, group_of, text = record
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise DataError(f"the size {width} x {height} is not in whole pixels")
    image = images.setdefault(image_id, ImageObjects(int(width), int(height)))
    if (int(width), int(height)) != (image.width, image.height):
        raise DataError(
            f"the size {width} x {height} is not {image.width} x {image.height} as in its first row"
        )
    if label not in CLASS_OF:
        raise DataError(f"class {label!r} is not 0 to {len(CLASSES) - 1}")
    if group_of not in ("0", "1"):
        raise DataError(f"IsGroupOf is {group_of!r}, neither 0 nor 1")
    mask = decode_text(text, image.height, image.width) if text != NO_MASK else None
    image.named[CLASS_OF[label]] = True
    if mask is not None:
        image.class_id.append(CLASS_OF[label])
        image.group_of.append(group_of == "1")
        image.masks.append(mask)
