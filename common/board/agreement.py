"""Do the proxies rank the systems as the metric does?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from common.board.rows import Row
from common.metrics.resampling import interval

FEWEST = 3  # two systems agree or not, and that is all


@dataclass(frozen=True)
class Agreement:
    """How a proxy orders the systems against test mAP.

    Attributes:
        points: name, proxy and test mAP of the systems of which both are known; controls are left out.
        tau: Kendall's tau-b; None for fewer than three systems or where all are equal.
        interval: of tau when the images behind test mAP are drawn anew; None where tau is.
    """

    proxy: str
    points: list[tuple[str, float, float]]
    tau: float | None
    interval: tuple[float, float] | None


PROXIES: dict[str, Callable[[Row], float | None]] = {
    "mAP oof": lambda row: row.oof.get("mAP"),
    "mAP test (mask_gt)": lambda row: row.test.get("mAP_mask_gt"),
    "cell AP": lambda row: row.weak.get("cell_ap"),
    "image AP": lambda row: row.weak.get("image_ap"),
    "macro F1": lambda row: row.weak.get("macro_f1"),
}


def agreements(rows: list[Row]) -> list[Agreement]:
    """Every proxy against test mAP."""
    return [_agreement(name, proxy, rows) for name, proxy in PROXIES.items()]


def _agreement(name: str, proxy: Callable[[Row], float | None], rows: list[Row]) -> Agreement:
    known = [row for row in rows if not row.control and None not in (proxy(row), row.test.get("mAP"))]
    points = [(row.name, float(proxy(row) or 0), float(row.test["mAP"])) for row in known]
    tau = _tau([x for _, x, _ in points], [y for _, _, y in points])
    replicates = [row.test.get("resampled") or [] for row in known]
    if tau is None or not replicates[0] or len({len(values) for values in replicates}) > 1:
        return Agreement(name, points, tau, None)
    drawn = [_tau([x for _, x, _ in points], list(scores)) for scores in zip(*replicates, strict=True)]
    return Agreement(name, points, tau, interval(np.array(drawn, float)))


def _tau(proxy: list[float], score: list[float]) -> float | None:
    if len(proxy) < FEWEST or None in score:
        return None
    tau = float(kendalltau(proxy, score).statistic)
    return None if np.isnan(tau) else tau
