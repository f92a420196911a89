"""How much of the network's own speed a training keeps: images a second of whole epochs, and of a tensor in memory.

python -m benchmarks.training_throughput [--recipe image_multilabel] [--size 1024] [--batch 4] [--batches 12]

Ours is the trainer of `image_level` at full scale (without pretrained weights): the field store, augmentation, batches,
step, all metrics of the training loop but validation. The peer trains the same network on one batch that lies in
memory on the device already, in a plain loop. Both in turn; medians. On a GPU add
--precision bf16-mixed --channels-last.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from approaches.image_level.recipe import Recipe
from common.classes import CLASSES, COLORS
from common.classifier import build_network
from common.field_data import LabelledImages, Part
from common.fields import FieldParams, FieldStore
from common.forward import half_precision
from common.images import Field, write_png
from common.params import build, load_recipe
from common.reducing import write_fields
from common.simulate.fields import simulate_field
from common.simulate.samples import SimulateParams, plan
from common.training import fit_chain
from common.training_run import NoRun

RECIPES = Path("approaches/image_level/recipes")
FIELDS = 8


def store_of(folder: Path, size: int, items: int) -> FieldStore:
    """A store of ``items`` fields of ``size`` px: a few simulated ones under many names."""
    params = SimulateParams(fields=FIELDS, test_fields=0, side_px=size, bit_depth=8, seed=0)
    fields = []
    for number, entry in enumerate(plan(params)[:FIELDS]):
        paths = tuple(folder / f"{number}_{color}.png" for color in COLORS)
        for path, channel in zip(paths, simulate_field(entry, params).image, strict=True):
            write_png(path, channel)
        fields.append(paths)
    named = [Field(f"f{item}", fields[item % FIELDS]) for item in range(items)]
    write_fields(named, FieldParams(field_px=size), folder / "store")
    return FieldStore(folder / "store")


def changed(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    """The recipe as the options have it, in one step."""
    given: dict[str, Any] = recipe.model_dump(mode="json")
    given["view"]["size_px"], given["backbone"]["pretrained"] = options.size, False
    name, step = next(iter(given["steps"].items()))
    step["trainer"] |= {
        "epochs": 1,
        "batch_size": options.batch,
        "accumulate": 1,
        "precision": options.precision,
        "channels_last": options.channels_last,
    }
    return build(Recipe, given | {"steps": {name: step}}, "recipe")


def of_the_trainer(recipe: Recipe, train: LabelledImages, valid: LabelledImages) -> float:
    """Images a second of an epoch of the trainer."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Log()
        fit_chain(build_network(recipe), recipe.steps, train, valid, Path(scratch), log)
    return log.speed


class Log(NoRun):
    """Keeps the speed of the last epoch."""

    speed = 0.0

    def log(self, data: dict[str, Any]) -> None:
        self.speed = data["images/s"]


def of_a_tensor(recipe: Recipe, train: LabelledImages, batches: int) -> float:
    """Images a second of a plain loop over one batch in memory."""
    step, device = (
        next(iter(recipe.steps.values())),
        torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )
    layout = torch.channels_last if step.trainer.channels_last else torch.preserve_format
    network = build_network(recipe).to(device).to(memory_format=layout).train()  # type: ignore[call-overload]
    optimizer = step.optimizer.build(network.parameters(), step.trainer.precision)
    size = step.trainer.batch_size
    pixels = torch.stack([train[0, item][0] for item in range(size)]).to(device, memory_format=layout)
    targets = torch.from_numpy(train.targets[:size]).to(device)

    def learn() -> None:
        with half_precision(device, step.trainer.precision):
            loss = step.loss(network(pixels), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    learn()
    start = time.monotonic()
    for _ in range(batches):
        learn()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return size * batches / (time.monotonic() - start)


def main(options: argparse.Namespace) -> None:
    """Print both speeds and their ratio."""
    recipe = changed(load_recipe(Recipe, RECIPES / f"{options.recipe}.yaml", "full"), options)
    items = options.batch * options.batches
    with tempfile.TemporaryDirectory() as folder:
        store = store_of(Path(folder), options.size, items)
        targets = (np.random.default_rng(0).random((items, len(CLASSES))) < 0.2).astype(np.float32)
        train = LabelledImages(store, Part(np.arange(items), targets), recipe)
        valid = LabelledImages(store, Part(np.arange(options.batch), targets[: options.batch]), recipe)
        ours, peer = [], []
        for _ in range(options.epochs):
            peer.append(of_a_tensor(recipe, train, options.batches))
            ours.append(of_the_trainer(recipe, train, valid))
    mine, its = statistics.median(ours), statistics.median(peer)
    ratio = statistics.median(one / other for one, other in zip(ours, peer, strict=True))
    print(f"{options.recipe} {options.size} px: {mine:.2f} images/s, tensor in memory {its:.2f}: {ratio:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="image_multilabel")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--channels-last", action="store_true")
    main(parser.parse_args())
