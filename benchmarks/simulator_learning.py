"""Whether simulated cells can be learnt, and what weak labels cost: average precision of one small network.

    python -m benchmarks.simulator_learning [--difficulties 0.4 0.1 0.8] [--cells 4500] [--epochs 10]

A resnet18 from scratch sees 64 px crops by the true masks. It is taught the true labels of the cells, and at the
default difficulty also those of their images. It is tested on cells of other proteins, always by their true labels.
Every field is of a protein of its own, or too few would be seen: all fields of a sample look alike. HPA_WORKERS=1 is
faster where other work has the cores.
"""

import argparse
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from common.backbones import BackboneParams, build_classifier
from common.cells import BOX, measure_cells
from common.classes import CLASSES
from common.crops import CropParams
from common.cutting import cut_cell
from common.metrics.ranking import cell_average_precision
from common.parallel import pmap, worker_count
from common.simulate.fields import label_fields, simulate_field
from common.simulate.labels import Truth
from common.simulate.samples import Entry, SimulateParams, plan
from common.views import View, apply_view

EXPECTED = {(0.4, "cell"): 0.622, (0.4, "image"): 0.515, (0.1, "cell"): 0.667, (0.8, "cell"): 0.479}
"""What the prototype of the simulator reached: (difficulty, whose labels) to mean average precision."""
DEFAULT = 0.4
CELLS_PER_FIELD = 12
TEST_SHARE = 1 / 3
TIGHT = CropParams(box="tight", margin_px=0)
VIEW = View(
    channels=("microtubules", "protein", "nucleus", "reticulum"),
    mask="own",
    square="stretch",
    margin_px=0,
    size_px=64,
)
BATCH, HIGHEST_LR, WEIGHT_DECAY = 64, 2e-3, 0.02


@dataclass(frozen=True)
class Part:
    """The cells of a train or a test part."""

    pixels: Tensor  # (N, 4, 64, 64) uint8
    truth: Tensor  # (N, 19) what each cell shows
    labels: Tensor  # (N, 19) what its image is labelled


def cut_field(entry: Entry, params: SimulateParams) -> tuple[Truth, np.ndarray]:
    """The truth of a field's cells, and their crops (cells, 64, 64, 4) uint8."""
    field = simulate_field(entry, params)
    boxes = measure_cells(entry.image_id, field.nuclei, field.cells)[BOX].to_numpy()
    image = field.image.astype(np.uint8)
    crops = [cut_cell(image, field.cells, cell_id, box, TIGHT) for cell_id, box in enumerate(boxes, start=1)]
    return field.truth, np.stack([apply_view(planes, np.array(inner), VIEW) for planes, inner in crops])


def simulated_parts(difficulty: float, cells: int, seed: int) -> dict[str, Part]:
    """Draw about ``cells`` training cells and a third as many test cells."""
    fields = max(cells // CELLS_PER_FIELD, 1)
    test_fields = max(round(TEST_SHARE * fields), 1)
    params = SimulateParams(
        fields=fields,
        test_fields=test_fields,
        seed=seed,
        difficulty=difficulty,
        balance=1,
        fields_per_sample=1,
        duplicates=0,
    )
    entries = plan(params)
    drawn = list(pmap(partial(cut_field, params=params), entries, f"fields of difficulty {difficulty}"))
    truths = {entry.image_id: truth for entry, (truth, _) in zip(entries, drawn, strict=True)}
    labels = label_fields(entries, truths, params)
    found = {}
    for split in ("train", "test"):
        mine = [(entry, *cut) for entry, cut in zip(entries, drawn, strict=True) if entry.split == split]
        rows = [
            np.isin(np.arange(len(CLASSES)), labels[entry.image_id].noisy)
            for entry, truth, _ in mine
            for _ in truth
        ]
        truth, crops = np.concatenate([cut[1] for cut in mine]), np.concatenate([cut[2] for cut in mine])
        pixels = torch.from_numpy(crops.transpose(0, 3, 1, 2).copy())
        found[split] = Part(pixels, torch.from_numpy(truth).float(), torch.from_numpy(np.stack(rows)).float())
    return found


def normalised(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(B, 4, H, W) uint8 to floats of about mean 0 and spread 1."""
    return ((pixels.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def turned(pixels: Tensor, random: torch.Generator) -> Tensor:
    """A batch in one of the eight orientations of a square."""
    quarter, mirrored = (
        torch.randint(0, 4, (1,), generator=random),
        torch.randint(0, 2, (1,), generator=random),
    )
    pixels = torch.rot90(pixels, int(quarter), (2, 3))
    return pixels.flip(3) if mirrored else pixels


def train_and_test(
    train: Part, targets: Tensor, test: Part, epochs: int, seed: int
) -> tuple[float, np.ndarray]:
    """Train on ``targets`` (N, 19) and return the mean and the (19,) average precisions by the test part's truth."""
    found = train_and_predict(train.pixels, targets, test.pixels, epochs, seed)
    return cell_average_precision(found, test.truth.numpy())


def train_and_predict(seen: Tensor, targets: Tensor, unseen: Tensor, epochs: int, seed: int) -> np.ndarray:
    """Train on pixels (N, 4, 64, 64) uint8 and ``targets`` (N, 19); (M, 19) logits of those never seen."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    backbone = BackboneParams(name="resnet18", pretrained=False)
    network = build_classifier(backbone, len(VIEW.channels), len(CLASSES))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with (
        torch.no_grad()
    ):  # classes start at their frequency, or ten epochs go into learning that most are rare
        network.get_classifier().bias.copy_(targets.mean(0).clamp(1e-3, 1 - 1e-3).logit())
    sample = seen[::4].float()
    mean, std = sample.mean((0, 2, 3), keepdim=True), sample.std((0, 2, 3), keepdim=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=HIGHEST_LR, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(targets) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_LR, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(targets), generator=random).split(BATCH):
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(normalised(turned(seen[rows], random), mean, std))
            loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        scores = torch.cat([network(normalised(pixels, mean, std)).float() for pixels in unseen.split(256)])
    return scores.numpy()


def main() -> None:
    """Print the mean of each network beside the prototype's, and its average precision by class."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--difficulties", type=float, nargs="+", default=[DEFAULT, 0.1, 0.8])
    parser.add_argument(
        "--cells", type=int, default=4500, help="for training, about; a third as many for the test"
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(worker_count())
    report(options.difficulties, options.cells, options.epochs, options.seed)


def report(difficulties: list[float], cells: int, epochs: int, seed: int) -> None:
    """Train and print one row a network."""
    classes = "  ".join(f"{class_id:3}" for class_id in range(len(CLASSES)))
    print(f"difficulty  labels  cells  seconds  chance    mAP  prototype  by class: {classes}", flush=True)
    for difficulty in difficulties:
        parts = simulated_parts(difficulty, cells, seed)
        train, test = parts["train"], parts["test"]
        chance = float(test.truth.mean(0)[test.truth.any(0)].mean())
        choices = {"cell": train.truth, "image": train.labels}
        for labels in choices if difficulty == DEFAULT else ("cell",):
            start = time.perf_counter()
            mean, by_class = train_and_test(train, choices[labels], test, epochs, seed)
            row = f"{difficulty:10}  {labels:6}  {len(train.pixels):5}  {time.perf_counter() - start:7.0f}"
            values = f"{chance:6.3f}  {mean:5.3f}  {EXPECTED.get((difficulty, labels), float('nan')):9.3f}"
            print(f"{row}  {values}  by class: {'  '.join(f'{ap:.2f}'[-3:] for ap in by_class)}", flush=True)


if __name__ == "__main__":
    main()
