"""Trains one fold of a recipe: a network that classifies whole images.

python -m approaches.image_level.train --recipe approaches/image_level/recipes/image_multilabel.yaml --fold 0
--images data/images --fields data/fields --folds data/folds.parquet
--out data/models/image_level/image_multilabel/fold-0
"""

from pathlib import Path

from common.commands import run_stage


def main(
    recipe: Path,
    fold: int,
    images: Path,
    fields: Path,
    folds: Path,
    out: Path,
    params: Path = Path("params.yaml"),
) -> None:
    """Train one fold of a recipe: --out gets model.safetensors, recipe.json and history.csv."""
    raise NotImplementedError


if __name__ == "__main__":
    run_stage(main)
