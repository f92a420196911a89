"""Targets beside what was found, as ``benchmarks.simulator`` prints them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

RATIO, SHIFT = 0.15, 0.10

Rule = Literal["ratio", "shift", "most"]


@dataclass(frozen=True)
class Row:
    """One statistic: within 15 % of ``target``, within .10 of it (``shift``), or at most 15 % above it (``most``).

    ``noise`` is two standard errors of ``found``: a row is off when it is so beyond doubt, ``few`` when so few images
    could not tell.
    """

    name: str
    target: float
    found: float
    rule: Rule = "ratio"
    noise: float = 0

    @property
    def ratio(self) -> float:
        return self.found / self.target if self.target else float("nan")

    @property
    def verdict(self) -> str:
        away = self.found - self.target if self.rule == "most" else abs(self.found - self.target)
        allowed = SHIFT if self.rule == "shift" else RATIO * abs(self.target)
        if away - self.noise > allowed:
            return "off"
        # An upper bound can hold beyond doubt however few images there are.
        certain = self.noise <= allowed or away + self.noise <= allowed
        return "ok" if certain and np.isfinite(away) else "few"


def print_rows(title: str, rows: Iterable[Row]) -> list[Row]:
    """Print a table and return its rows."""
    kept = list(rows)
    print(f"\n{title:52}  {'target':>8}  {'found':>8}  ratio  verdict")
    for row in kept:
        noise = f"  +- {row.noise:.2g}" if row.noise else ""
        numbers = f"{row.target:8.4g}  {row.found:8.4g}  {row.ratio:5.2f}"
        print(f"  {row.name:50}  {numbers}  {row.verdict:7}{noise}", flush=True)
    return kept


def share_ok(rows: list[Row]) -> str:
    """How many rows are within their tolerance, of those that can be told."""
    verdicts = np.array([row.verdict for row in rows])
    return f"{np.sum(verdicts == 'ok')} of {np.sum(verdicts != 'few')} within tolerance"
