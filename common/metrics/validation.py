"""What is measured after each epoch of a training."""

import numpy as np

from common.metrics.ranking import cell_average_precision, macro_f1, micro_f1
from common.metrics.soft import binned_accuracy, soft_ranking_map


def validation_metrics(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """All but the loss.

    Args:
        probabilities: (N, C) of the validation items.
        targets: (N, C) their soft labels; one above 0.5 is a positive, NaN is unknown.
    """
    known = ~np.isnan(targets)
    ranked = np.where(known, probabilities, -1.0)  # behind all others an unknown changes no precision
    positive = np.where(known, targets, 0.0) > 0.5
    return {
        "val/map": cell_average_precision(ranked, positive)[0],
        "val/macro_f1": macro_f1(ranked, positive),
        "val/micro_f1": micro_f1(ranked, positive),
        "val/binned_accuracy": binned_accuracy(probabilities, targets),
        "val/soft_map": soft_ranking_map(probabilities, targets),
    }
