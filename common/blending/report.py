"""What a blend gained over its members, on out-of-fold cells and labels that training may see."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from common.classes import CLASSES
from common.metrics.ranking import average_precision
from common.metrics.resampling import draw_images, pivotal, resampled_precision
from common.progress import track

REPLICATES = 200
DIGITS = 4


@dataclass(frozen=True)
class Answers:
    """The labels of one class and what to judge by them.

    Attributes:
        known: (N,) bool, cells with a label.
        positive, image: of the known cells.
        draws: (images, replicates), see ``draw_images``.
    """

    known: np.ndarray
    positive: np.ndarray
    image: np.ndarray
    draws: np.ndarray

    @classmethod
    def of(cls, targets: np.ndarray, image: np.ndarray, draws: np.ndarray) -> "Answers":
        """From (N,) targets in [0, 1] or NaN; half or more is positive."""
        known = ~np.isnan(targets)
        return cls(known, targets[known] >= 0.5, image[known], draws)

    def score(self, values: np.ndarray) -> float:
        """Average precision of (N,) values."""
        return average_precision(values[self.known], self.positive)

    def resampled(self, values: np.ndarray) -> np.ndarray:
        """The same in every resample."""
        order = np.argsort(-values[self.known], kind="stable")
        n_truth = np.bincount(self.image[self.positive], minlength=len(self.draws))
        return resampled_precision(
            self.positive[order], self.image[order], n_truth, self.draws, envelope=False
        )


def report(
    names: list[str], stack: np.ndarray, blended: np.ndarray, targets: np.ndarray, image: np.ndarray
) -> dict[str, Any]:
    """Compare the blend with the best member, class by class and on the mean.

    The blend must be cross-fitted. The best member is chosen on the cells that it is judged on, which favours it.

    Args:
        names: of the members.
        stack: (members, N, 19) their probabilities.
        blended: (N, 19) the blend's.
        targets: (N, 19) in [0, 1] or NaN (unknown); half or more is positive.
        image: (N,) int, the image of each cell.

    Returns:
        ``mean`` and ``classes`` (by name): average precision of ``members``, ``best`` member and ``blend``, the
        ``gain`` over the best and its 95 % bootstrap interval by image; None for a class that nothing shows.
    """
    draws = draw_images(int(image.max(initial=-1)) + 1, seed=0, replicates=REPLICATES)
    everyone = {k: Answers.of(targets[:, k], image, draws) for k in range(len(CLASSES))}
    answers = {k: one for k, one in everyone.items() if one.positive.any()}
    found: dict[str, Any] = {"mean": None, "classes": dict.fromkeys(CLASSES)}
    if not answers:
        return found
    scores = {k: np.array([one.score(v[:, k]) for v in (*stack, blended)]) for k, one in answers.items()}
    overall = np.mean(list(scores.values()), axis=0)
    leader, resampled = int(np.argmax(overall[:-1])), []
    for k, one in track(answers.items(), len(answers), "blend, gains"):
        best = int(np.argmax(scores[k][:-1]))
        drawn = {member: one.resampled(stack[member, :, k]) for member in {best, leader}}
        blend = one.resampled(blended[:, k])
        found["classes"][CLASSES[k]] = _compared(names, scores[k], blend - drawn[best])
        resampled.append(blend - drawn[leader])
    found["mean"] = _compared(names, overall, np.nanmean(resampled, axis=0))
    return found


def _compared(names: list[str], scores: np.ndarray, gains: np.ndarray) -> dict[str, Any]:
    """The entry of a class, from the scores of the members and (last) the blend, and the gain in resamples."""
    best = int(np.argmax(scores[:-1]))
    gain = float(scores[-1] - scores[best])
    return {
        "members": {name: round(float(v), DIGITS) for name, v in zip(names, scores, strict=False)},
        "best": names[best],
        "blend": round(float(scores[-1]), DIGITS),
        "gain": round(gain, DIGITS),
        "interval": [round(value, DIGITS) for value in pivotal(gains, gain)],
    }


def headline(found: dict[str, Any]) -> dict[str, float]:
    """The comparable numbers of the report of ``blend_members``, by the keys of ``common.tracking``."""
    weights = np.mean(list(found["weights"].values()), axis=0)
    numbers = {f"blend/weight/{name}": float(w) for name, w in zip(found["members"], weights, strict=True)}
    if mean := found["mean"]:
        low, high = mean["interval"]
        gains = {"blend/gain": mean["gain"], "blend/gain_low": low, "blend/gain_high": high}
        numbers |= {"val/map_cell_weak": mean["blend"], **gains}
    return numbers


def terminal(found: dict[str, Any]) -> str:
    """The comparison as lines for a terminal: worst gain last."""
    lines = [f"{'cell AP against image labels':<44} {'best':>6} {'blend':>6} {'gain':>7}  95 %"]
    rows = [("mean of the classes", found["mean"]), *found["classes"].items()]
    for name, row in rows:
        if row is None:
            lines.append(f"{name:<44} {'-':>6} {'-':>6} {'-':>7}")
            continue
        best, (low, high) = row["members"][row["best"]], row["interval"]
        numbers = f"{best:6.3f} {row['blend']:6.3f} {row['gain']:+7.3f}  {low:+.3f} to {high:+.3f}"
        lines.append(f"{name:<44} {numbers}  over {row['best']}")
    return "\n".join(lines)
