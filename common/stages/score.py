"""Scores a system's predictions: the competition's metric where cells are known, proxies against image labels.

python -m common.stages.score --predictions data/predictions/cell_crop/effb2_cell --images data/images
--cells data/cells.parquet --masks data/masks --truth data/truth --out leaderboard/entries/cell_crop.effb2_cell.json
"""

from pathlib import Path
from typing import Any

from common.commands import run_stage

KEYS = {
    "competition": {"mAP": "map_iou60", "mAP_mask_gt": "map_iou60_mask_gt"},
    "weak": {
        "cell_ap": "map_cell_weak",
        "image_ap": "map_image",
        "macro_f1": "macro_f1",
        "micro_f1": "micro_f1",
    },
}
"""What a dashboard shows of an entry, and under which key."""


def main(
    predictions: Path,
    images: Path,
    cells: Path,
    masks: Path,
    truth: Path,
    out: Path,
    models: Path | None = None,
    params: Path = Path("params.yaml"),
) -> None:
    """Score oof.parquet and test.parquet of --predictions: --out gets the entry of the leaderboard.

    With --models, the entry says what the system cost.
    """
    from common.cells import read_cells
    from common.costs import read_costs
    from common.files import atomic, exclusive
    from common.image_table import read_images
    from common.params import load_section, system_values
    from common.predictions import read_image_predictions, read_predictions
    from common.scoring import Guess, ScoreParams, entry_text, score_part
    from common.tracking import tracked_run
    from common.truth import read_truth

    settings = load_section(ScoreParams, params, "score")
    table, known, true = read_images(images), read_cells(cells), read_truth(truth)
    approach, recipe = out.stem.split(".", 1)
    entry: dict[str, Any] = {"approach": approach, "recipe": recipe}
    for name, split in (("oof", "train"), ("test", "test")):
        part = table[table["split"] == split]
        scored = read_predictions(
            predictions / f"{name}.parquet", known[known["image_id"].isin(part["image_id"])]
        )
        path, ids = predictions / f"{name}_images.parquet", sorted(part["image_id"])
        of_images = read_image_predictions(path, ids) if path.exists() else None
        entry[name] = score_part(
            Guess(scored, masks, of_images), part, true, truth / "masks", settings.f1_threshold
        )
    if models:
        entry["cost"] = read_costs(models, predictions)
    with exclusive(out), atomic(out) as file:
        file.write_text(entry_text(entry))
    with tracked_run(approach, recipe, "score", system_values(approach, recipe, params)) as run:
        run.log(found := headline(entry))
    print(f"{approach}/{recipe}: {', '.join(f'{key} {value:.4g}' for key, value in found.items())}")


def headline(entry: dict[str, Any]) -> dict[str, float]:
    """The comparable numbers of an entry, by the keys of ``common.tracking``."""
    found: dict[str, float] = {}
    for part, prefix in (("oof", "val"), ("test", "test")):
        for kind, keys in KEYS.items():
            values = (entry[part] or {}).get(kind) or {}
            found |= {f"{prefix}/{keys[key]}": values[key] for key in keys if values.get(key) is not None}
    return found


if __name__ == "__main__":
    run_stage(main)
