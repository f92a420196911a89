"""Blends all systems under data/predictions as the section `blend` of params.yaml says.

python -m common.stages.blend --predictions data/predictions --images data/images --cells data/cells.parquet
--folds data/folds.parquet --out data/blend
"""

from pathlib import Path

from common.commands import run_stage


def main(
    predictions: Path, images: Path, cells: Path, folds: Path, out: Path, params: Path = Path("params.yaml")
) -> None:
    """Blend every member: --out gets oof.parquet, test.parquet and report.json (weights, gains by class)."""
    import json

    from common.blending.blend import Data, blend_members, summary
    from common.blending.members import members, name_of, weighed
    from common.blending.params import BlendParams
    from common.blending.report import headline, terminal
    from common.cells import read_cells
    from common.files import atomic, exclusive
    from common.image_table import read_images
    from common.params import load_section
    from common.predictions import write_predictions
    from common.tables import read_folds
    from common.tracking import tracked_run

    settings = load_section(BlendParams, params, "blend")
    published = members(predictions, approaches := Path("approaches"))
    folders = weighed(published, settings, approaches)
    data = Data(read_images(images), read_cells(cells), read_folds(folds))
    config = settings.model_dump(mode="json")
    with exclusive(out), atomic(out) as part, tracked_run("blend", "all", "blend", config) as run:
        blend = blend_members(folders, data, settings)
        write_predictions(blend.oof, part / "oof.parquet", data.part("train")[0])
        write_predictions(blend.test, part / "test.parquet", data.part("test")[0])
        (part / "report.json").write_text(json.dumps(blend.report, indent=1) + "\n")
        run.log(headline(blend.report))
    for folder in sorted(set(published) - set(folders)):
        print(f"left out: {name_of(folder)} learned from others' out-of-fold tables (blend.stacked)")
    print(summary(blend.report))
    print(terminal(blend.report))


if __name__ == "__main__":
    run_stage(main)
