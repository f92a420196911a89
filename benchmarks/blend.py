"""What the blend gains over every member on test cells, with its last steps and without; where `hpa repro` is done.

Other fields: another `images.simulate.seed` in the params.yaml of a clone.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from common.blending.blend import Data, blend_members
from common.blending.members import members, name_of, weighed
from common.blending.params import BlendParams
from common.cells import read_cells
from common.image_table import read_images
from common.metrics.resampling import pivotal
from common.params import load_section
from common.postprocess import Postprocess
from common.scoring import Guess, score_part
from common.tables import read_folds
from common.truth import read_truth

DATA = Path("data")
APPROACHES = Path("approaches")


def gain(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """The difference of two scores and its 95 % interval over the same resamples."""
    difference = np.array(ours["resampled"], float) - np.array(theirs["resampled"], float)
    estimate = ours["mAP"] - theirs["mAP"]
    low, high = pivotal(difference, estimate)
    return f"{estimate:+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    """Print a row a member."""
    params = load_section(BlendParams, Path("params.yaml"), "blend")
    folders = members(DATA / "predictions", APPROACHES)
    data = Data(
        read_images(DATA / "images"), read_cells(DATA / "cells.parquet"), read_folds(DATA / "folds.parquet")
    )
    test, truth = data.images[data.images["split"] == "test"], read_truth(DATA / "truth")

    def score(settings: BlendParams) -> dict[str, Any]:
        blend = blend_members(weighed(folders, settings, APPROACHES), data, settings)
        found = score_part(Guess(blend.test, DATA / "masks"), test, truth, DATA / "truth/masks", 0.5)
        assert found is not None
        return dict(found["competition"])

    whole, mix = score(params), score(params.model_copy(update={"postprocess": Postprocess()}))
    print(f"{'':<36}{'mAP':>7}  {'blend ' + format(whole['mAP'], '.3f'):<28}mix alone {mix['mAP']:.3f}")
    for folder in folders:
        entry = Path("leaderboard/entries") / f"{folder.parent.name}.{folder.name}.json"
        own = json.loads(entry.read_text())["test"]["competition"]
        print(f"{name_of(folder):<36}{own['mAP']:>7.3f}  {gain(whole, own):<28}{gain(mix, own)}")


if __name__ == "__main__":
    main()
