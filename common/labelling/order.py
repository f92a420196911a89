"""In which order cells are shown: what is worth most first, from several streams by turns, with random cells mixed in.

A stream is one reason to look at a cell. Random cells, the controls, show what the others would miss, and how much more
is found by looking where the streams point.
"""

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from common.params import Params

CONTROL, REST = "control", "rest"


class OrderParams(Params):
    """How streams share the rater's time."""

    similar: float = Field(default=3, ge=0)
    """Resembles cells that were found to show the class; before there are any: is the most probable."""
    disagree: float = Field(default=2, ge=0)
    """Systems disagree."""
    threshold: float = Field(default=2, ge=0)
    """Lies where the mean of all systems is decided."""
    missing: float = Field(default=1, ge=0)
    """Its image lacks the label, and systems see the class."""
    doubtful: float = Field(default=1, ge=0)
    """Its image has the label, and systems do not see the class."""
    lookalike: float = Field(default=1, ge=0)
    """Its image lacks the label that its look-alikes have: a candidate of the de-noising."""
    labelled: float = Field(default=1, ge=0)
    """Its image has the label; only where no system published predictions."""
    control: float = Field(default=0.1, ge=0, le=1)
    """The share of random cells."""


def arrange(
    streams: Mapping[str, np.ndarray], params: OrderParams, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Put N cells in order.

    The k-th best cell of a stream has its turn at k / weight; a cell comes at its first turn. Controls are drawn from
    all cells before, each at a random place of its own block, so that a rater cannot tell them.

    Args:
        streams: (N,) values a stream, the highest first; NaN: not of this stream.
        params: the weights.
        rng: draws controls and the order of cells that no stream wants.

    Returns:
        Rows (N,) in order, and the name (N,) of the stream that brought each.
    """
    count = len(next(iter(streams.values())))
    names = [name for name in streams if getattr(params, name) > 0]
    turns = np.array([_turns(streams[name]) / getattr(params, name) for name in names])
    turns = np.vstack([turns.reshape(len(names), count), np.full(count, np.inf)])
    lot = rng.permutation(count)
    controls = lot[: round(params.control * count)]
    chosen = np.setdiff1d(np.arange(count), controls)
    first = turns[:, chosen].argmin(axis=0)
    wanted = turns[:, chosen].min(axis=0)
    first[np.isinf(wanted)] = len(names)
    order = np.lexsort((np.argsort(lot)[chosen], first, wanted))
    rows, why = chosen[order], np.array([*names, REST], object)[first[order]]
    return _mix(rows, why, controls, rng)


def _turns(values: np.ndarray) -> np.ndarray:
    """1 for the highest value, 2 for the next ...; infinity for NaN."""
    turns = np.full(len(values), np.inf)
    order = np.argsort(-values, kind="stable")  # NaN come last
    known = order[: int((~np.isnan(values)).sum())]
    turns[known] = np.arange(1, len(known) + 1)
    return turns


def _mix(
    rows: np.ndarray, why: np.ndarray, controls: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    count = len(rows) + len(controls)
    if not len(controls):
        return rows, why
    starts = np.arange(len(controls)) * count // len(controls)
    ends = np.append(starts[1:], count)
    places = rng.integers(starts, ends)
    is_control = np.zeros(count, bool)
    is_control[places] = True
    mixed, reasons = np.empty(count, rows.dtype), np.full(count, CONTROL, object)
    mixed[is_control], mixed[~is_control] = controls, rows
    reasons[~is_control] = why
    return mixed, reasons
