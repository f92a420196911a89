"""What a blend gained over its members, on out-of-fold cells and labels that training may see."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from common.classes import CLASSES
from common.metrics.ranking import average_precision
from common.metrics.resampling import draw_images, pivotal, resampled_precision

REPLICATES = 200
DIGITS = 4


@dataclass(frozen=True)
class Judged:
    """Average precision of one class against the labels: of each member, of the blend, and in resamples."""

    members: np.ndarray
    blend: float
    resampled_members: np.ndarray
    resampled_blend: np.ndarray


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
    judged = {
        name: _judge(stack[:, :, k], blended[:, k], targets[:, k], image, draws)
        for k, name in enumerate(CLASSES)
    }
    known = [one for one in judged.values() if one]
    mean = Judged(*(np.nanmean([getattr(j, f) for j in known], axis=0) for f in FIELDS)) if known else None
    return {
        "mean": _compared(names, mean),
        "classes": {name: _compared(names, one) for name, one in judged.items()},
    }


FIELDS = ("members", "blend", "resampled_members", "resampled_blend")


def _judge(
    stack: np.ndarray, blended: np.ndarray, targets: np.ndarray, image: np.ndarray, draws: np.ndarray
) -> Judged | None:
    known = ~np.isnan(targets)
    positive = targets[known] >= 0.5
    if not positive.any():
        return None
    image = image[known]
    n_truth = np.bincount(image[positive], minlength=len(draws))
    values, resampled = [], []
    for scores in (*stack[:, known], blended[known]):
        order = np.argsort(-scores, kind="stable")
        values.append(average_precision(scores, positive))
        resampled.append(resampled_precision(positive[order], image[order], n_truth, draws, envelope=False))
    return Judged(np.array(values[:-1]), values[-1], np.array(resampled[:-1]), resampled[-1])


def _compared(names: list[str], judged: Judged | None) -> dict[str, Any] | None:
    if judged is None:
        return None
    best = int(np.argmax(judged.members))
    gain = float(judged.blend - judged.members[best])
    low, high = pivotal(judged.resampled_blend - judged.resampled_members[best], gain)
    return {
        "members": {name: round(float(v), DIGITS) for name, v in zip(names, judged.members, strict=True)},
        "best": names[best],
        "blend": round(float(judged.blend), DIGITS),
        "gain": round(gain, DIGITS),
        "interval": [round(low, DIGITS), round(high, DIGITS)],
    }


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
