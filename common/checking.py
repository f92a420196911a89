"""Looks through a data folder for faults, and for what is allowed but smells."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.classes import COLORS
from common.competition import Competition, read_competition
from common.errors import DataError
from common.images import Field, find_fields, read_image
from common.ingest import truth_mask_fault
from common.parallel import pmap

CLIPPED_SHARE = 0.05


@dataclass
class Report:
    """``faults`` stop a pipeline; ``warnings`` do not."""

    summary: str = ""
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_folder(folder: Path) -> Report:
    """Check a competition folder (where there is a train.csv) or a folder of images, pixels and truth included.

    Raises:
        DataError: the folder holds nothing that could be checked.
    """
    report = Report()
    if (folder / "train.csv").is_file():
        competition = read_competition(folder)
        fields = competition.train + competition.test
        report.faults += competition.faults + _truth_faults(competition)
        report.summary = f"{len(competition.train)} training and {len(competition.test)} test images"
        report.summary += f", truth of {len(competition.truth)} cells" if competition.truth else ", no truth"
    else:
        fields, report.faults = find_fields(folder)
        report.summary = f"{len(fields)} images, no train.csv"
    for faults, warnings in pmap(check_pixels, fields, "images"):
        report.faults += faults
        report.warnings += warnings
    report.faults = list(dict.fromkeys(report.faults))  # an unreadable image fails with its truth as well
    return report


def _truth_faults(competition: Competition) -> list[str]:
    return [fault for fault in pmap(truth_mask_fault, competition.true_fields(), "truth masks") if fault]


def check_pixels(field: Field) -> tuple[list[str], list[str]]:
    """The faults and warnings of one image's pixels."""
    try:
        image = read_image(field)
    except DataError as error:
        return [str(error)], []
    warnings = []
    for color, channel in zip(COLORS, image, strict=True):
        if channel.min() == channel.max():
            warnings.append(f"{field.image_id}: {color} is constant ({channel.min()})")
        elif (share := float(np.mean(channel == np.iinfo(channel.dtype).max))) > CLIPPED_SHARE:
            warnings.append(f"{field.image_id}: {share:.0%} of {color} is saturated")
    if image.dtype == np.uint16 and image.max() < 2**13:
        warnings.append(
            f"{field.image_id}: 16 bit files whose brightest pixel is {image.max()}; they are read on a scale to "
            "65535, so that 12 bit data look almost black: multiply them by 16 first"
        )
    return [], warnings
