"""Writes the blend as a competition submission, and reads it again to check it.

python -m common.stages.submission --predictions data/blend --images data/images --cells data/cells.parquet
--masks data/masks --out data/submission.csv
"""

from pathlib import Path

from common.commands import run_stage


def main(
    predictions: Path, images: Path, cells: Path, masks: Path, out: Path, params: Path = Path("params.yaml")
) -> None:
    """Write a submission of one part of the images: --out is the CSV."""
    from common.cells import cell_mask_path, read_cells, read_mask
    from common.files import atomic, exclusive
    from common.image_table import read_images
    from common.params import load_section
    from common.predictions import read_predictions
    from common.submission import SubmissionParams, validate_submission, write_submission

    split = load_section(SubmissionParams, params, "submission").split
    table, known = read_images(images), read_cells(cells)
    if split == "auto":
        split = "test" if (table["split"] == "test").any() else "oof"
    part = table[table["split"] == {"test": "test", "oof": "train"}[split]]
    scored = read_predictions(
        predictions / f"{split}.parquet", known[known["image_id"].isin(part["image_id"])]
    )
    with exclusive(out), atomic(out) as file:
        write_submission(file, part, scored, lambda image_id: read_mask(cell_mask_path(masks, image_id)))
        validate_submission(file, part)
    print(f"submission: {len(part)} images, {len(scored)} cells ({split}), read again and valid: {out}")


if __name__ == "__main__":
    run_stage(main)
