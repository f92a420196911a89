"""Trains the network of the segmenter `unet`, on simulated fields only.

python -m common.stages.segmenter --recipe segmenter/unet.yaml --out data/models/segmenter/unet
"""

from pathlib import Path

from common.commands import run_stage


def main(recipe: Path, out: Path, params: Path = Path("params.yaml")) -> None:
    """Train: --out gets model.safetensors, network.json and quality.json. A killed training goes on where it was."""
    import json
    from dataclasses import asdict

    from common.files import atomic, discard, exclusive
    from common.params import load_recipe, load_scale
    from common.segmentation.network_params import UnetParams
    from common.segmentation.unet import save_unet, segment
    from common.segmenter_training.hits import judge
    from common.segmenter_training.learning import checkpoint_folder, train
    from common.segmenter_training.recipe import UnetRecipe
    from common.tracking import tracked_run

    settings = load_recipe(UnetRecipe, recipe, load_scale(params))
    config = settings.model_dump(mode="json")
    with exclusive(out), atomic(out) as part, tracked_run("segmenter", recipe.stem, "train", config) as run:
        scratch = checkpoint_folder(out, settings)
        trained = train(settings, scratch, run)
        save_unet(part, trained)
        quality = {}
        for difficulty in settings.difficulties:
            hits = judge(
                lambda image: segment([image], trained, UnetParams())[0][1], settings.held_out, difficulty
            )
            quality[f"difficulty {difficulty}"] = asdict(hits)
            print(f"difficulty {difficulty}: recall {hits.recall:.3f}, precision {hits.precision:.3f}")
        (part / "quality.json").write_text(json.dumps(quality, indent=1) + "\n")
    discard(scratch)


if __name__ == "__main__":
    run_stage(main)
