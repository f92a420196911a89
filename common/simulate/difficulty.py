"""One knob for how hard a simulated data set is: it moves everything that blurs, hides or confuses, together."""

from dataclasses import dataclass

KNOBS = {
    # name: (at difficulty 0, at difficulty 1)
    "expression_spread": (0.2, 0.8),
    "background": (0.01, 0.09),
    "photons": (1000.0, 100.0),
    "blur_px": (0.3, 0.8),
    "leak": (0.45, 1.95),
    "dimming": (0.0, 0.4),
    "confusers": (0.0, 0.35),
    "defocused": (0.0, 0.1),
}


@dataclass(frozen=True)
class Conditions:
    """What a difficulty means."""

    expression_spread: float
    """Log spread of the brightness of the cells of a field."""
    background: float
    """Protein that is everywhere in a cell, as a share of a bright pixel."""
    photons: float
    """Photons of a pixel of a 2048 px picture at full scale: fewer are noisier. Public fields: 110 to 1,600."""
    blur_px: float
    """Gaussian blur of the microscope, in pixels of a 512 px picture."""
    leak: float
    """Scales the faint light of a protein outside its compartment."""
    dimming: float
    """How much dimmer than others proteins of compact structures are taken, as a share."""
    confusers: float
    """The share of samples with a faint second compartment that nobody labels."""
    defocused: float
    """The share of cells out of focus."""


def conditions_at(difficulty: float) -> Conditions:
    """The conditions at a ``difficulty`` from 0 (easy) to 1 (hard), linear in between."""
    return Conditions(**{name: low + difficulty * (high - low) for name, (low, high) in KNOBS.items()})
