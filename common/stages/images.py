"""Brings images of any source into one table, validated once, with their pixels and what truth there is.

python -m common.stages.images --out data/images --truth data/truth
"""

from pathlib import Path

from common.commands import run_stage


def main(out: Path, truth: Path, params: Path = Path("params.yaml")) -> None:
    """Read the source of params.yaml: --out gets images.parquet and pixels/, --truth truth.parquet and masks/."""
    from common.files import atomic, exclusive
    from common.params import load_section
    from common.sources import ImagesParams, collect

    settings = load_section(ImagesParams, params, "images")
    with exclusive(out), atomic(out) as images_part, atomic(truth) as truth_part:
        table = collect(settings, images_part, truth_part)
    print(
        f"images: {len(table)} from {settings.source}, {(table['split'] == 'train').sum()} of them for training"
    )


if __name__ == "__main__":
    run_stage(main)
