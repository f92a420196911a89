"""``hpa evaluate``: the competition's score of a submission file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Mode(StrEnum):
    """Which false positives count."""

    mask_all = "mask_all"
    mask_gt = "mask_gt"


def main(
    submission: Annotated[Path, typer.Argument(help="CSV: ID,ImageWidth,ImageHeight,PredictionString.")],
    truth: Annotated[
        Path, typer.Option(help="CSV: ImageID,ImageWidth,ImageHeight,LabelName,IsGroupOf,Mask.")
    ],
    mode: Annotated[
        Mode, typer.Option(help="mask_all: every class in every image, as on the board.")
    ] = Mode.mask_all,
    json: Annotated[Path | None, typer.Option(help="Written: the numbers as JSON.")] = None,
) -> None:
    """Score a submission by mAP at mask IoU 0.6, with the bounds that ties leave open."""
    from json import dumps

    from common.classes import CLASSES
    from common.evaluation import evaluate_files
    from common.files import atomic
    from common.submission import read_records

    result = evaluate_files(submission, truth, mode.value)
    predicted = {image_id for _, (image_id,) in read_records(submission, ("ID",))}
    true = {image_id for _, (image_id,) in read_records(truth, ("ImageID",))}
    if predicted != true:
        print(
            f"warning: {len(predicted - true)} images only in the submission, {len(true - predicted)} only in the truth"
        )
    if json:
        with atomic(json) as part:
            part.write_text(dumps(result, indent=1) + "\n")
    for class_id, value in result["AP"].items():
        shown = "     -" if value is None else f"{value:.4f}"
        print(f"{class_id:>2} {CLASSES[int(class_id)]:<42} {shown}")
    if result["mAP"] is None:
        print("mAP: undefined, the truth holds no object")
        return
    ties = result["ties"]
    print(f"mAP {result['mAP']:.6f} ({mode.value}; ties allow {ties['worst']:.6f} to {ties['best']:.6f})")
    print(f"    {result['mAP_19']:.6f} with an absent class counted as 0 (the competition's divisor, 19)")
