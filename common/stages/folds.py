"""Deals the training images out to folds: multilabel stratified, grouped by sample and duplicate cluster.

python -m common.stages.folds --images data/images --out data/folds.parquet
"""

from pathlib import Path

from common.commands import run_stage


def main(images: Path, out: Path, params: Path = Path("params.yaml")) -> None:
    """Assign folds: --out gets image_id, fold."""
    from common.files import atomic, exclusive
    from common.folds import FoldParams, assign_folds
    from common.image_table import read_images
    from common.params import load_section

    folds = assign_folds(read_images(images), load_section(FoldParams, params, "folds"))
    with exclusive(out), atomic(out) as part:
        folds.to_parquet(part, index=False)
    print(f"folds: {folds['fold'].value_counts().sort_index().tolist()} images")


if __name__ == "__main__":
    run_stage(main)
