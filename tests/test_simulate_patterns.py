"""What simulated cells show: where each pattern lies, what it shares with others, and that zoom changes nothing."""

from functools import cache

import numpy as np
import pytest

from common.classes import CLASSES, NEGATIVE
from common.simulate.anatomy import finish
from common.simulate.cell_lines import CELL_LINES
from common.simulate.difficulty import KNOBS, conditions_at
from common.simulate.patterns import COMPACT, PATTERNS, paint, paint_references
from common.simulate.shapes import Cell, Spot, grow
from common.simulate.structures import Gait, Plane, dots, grain, thicken, walks
from common.simulate.textures import Light

SPINDLE, RETICULUM, CYTOSOL = (
    CLASSES.index(n) for n in ("Mitotic spindle", "Endoplasmic reticulum", "Cytosol")
)
PAINTED = [c for c in range(len(CLASSES)) if c != NEGATIVE]


@cache
def cell_at(zoom: int, seed: int = 3, mitotic: bool = False) -> Cell:
    rng = np.random.default_rng(seed)
    spot = Spot(90 * zoom, 90 * zoom, 60 * zoom, mitotic)
    body = grow(rng, spot, CELL_LINES["U-2 OS"], zoom, 180 * zoom)
    return finish(rng, body, body.reach < 1)


@pytest.fixture(scope="module")
def cell() -> Cell:
    return cell_at(1)


@pytest.fixture(scope="module")
def dividing() -> Cell:
    return cell_at(1, mitotic=True)


def painted(cell: Cell, class_id: int, difficulty: float = 0.4, look: int = 0) -> Light:
    return paint(np.random.default_rng(0), cell, class_id, conditions_at(difficulty), look)


def test_there_is_one_pattern_a_class() -> None:
    assert len(PATTERNS) == len(CLASSES)


@pytest.mark.parametrize("class_id", range(len(CLASSES)))
@pytest.mark.parametrize("mitotic", [False, True])
def test_patterns_are_light_and_stay_in_their_cell(class_id: int, mitotic: bool) -> None:
    cell = cell_at(1, mitotic=mitotic)
    for plane in painted(cell, class_id):
        assert plane.dtype == np.float32
        assert plane.min() >= 0
        assert not plane[~cell.mask].any()


def test_each_class_shows_something_but_negative(cell: Cell, dividing: Cell) -> None:
    brightest = [
        painted(dividing if class_id == SPINDLE else cell, class_id).shown.max()
        for class_id in range(len(CLASSES))
    ]
    assert [class_id for class_id, level in enumerate(brightest) if level > 0.4] == PAINTED
    assert not painted(cell, NEGATIVE).total.any()


@pytest.mark.parametrize("class_id", range(6))
def test_nuclear_proteins_lie_in_the_nucleus(class_id: int, cell: Cell) -> None:
    shown = painted(cell, class_id).shown
    assert shown[cell.nucleus].sum() > 0.8 * shown.sum()


@pytest.mark.parametrize("class_id", [6, 7, 8, 12, 14, 15, 16, 17])
def test_cytoplasmic_proteins_lie_outside(class_id: int, cell: Cell) -> None:
    shown = painted(cell, class_id).shown
    core = cell.nucleus & (cell.nucleus_reach < 0.8)
    assert shown[~cell.nucleus].sum() > 0.8 * shown.sum()
    assert shown[cell.cytoplasm].max() > 1.3 * shown[core].max()


def test_nuclear_proteins_contrast_with_the_cytoplasm_as_public_ones_do() -> None:
    contrasts = []
    for look in range(30):
        cell = cell_at(1, seed=look)
        plane = painted(cell, 0, look=look).total
        contrasts.append(plane[cell.nucleus].mean() / plane[cell.cytoplasm].mean())
    assert 2 < np.median(contrasts) < 4  # 2.4 over labelled fields, many of which show the cytosol as well


def test_a_plasma_membrane_is_brightest_at_the_outline(cell: Cell) -> None:
    shown = painted(cell, CLASSES.index("Plasma membrane")).shown
    middle = cell.mask & (cell.reach < 0.7)
    assert shown[cell.mask & (cell.reach > 0.97)].mean() > 2 * shown[middle].mean()


def test_only_dividing_cells_have_a_spindle(cell: Cell, dividing: Cell) -> None:
    assert not painted(cell, SPINDLE).shown.any()
    shown = painted(dividing, SPINDLE).shown
    spindle = shown > 0.4
    y, x = np.indices(shown.shape)
    along = (y - dividing.centre[0]) * np.sin(dividing.axis) + (x - dividing.centre[1]) * np.cos(
        dividing.axis
    )
    across = (y - dividing.centre[0]) * np.cos(dividing.axis) - (x - dividing.centre[1]) * np.sin(
        dividing.axis
    )
    assert np.ptp(along[spindle]) > 1.3 * np.ptp(across[spindle])
    assert np.ptp(along[spindle]) < 2 * dividing.radius


@pytest.mark.parametrize("class_id", [RETICULUM, CYTOSOL])
def test_dividing_cells_are_filled_but_for_their_chromosomes(class_id: int, dividing: Cell) -> None:
    shown = painted(dividing, class_id).shown
    outer = dividing.cytoplasm & (dividing.reach < 0.8)
    assert shown[outer].mean() > 1.3 * shown[dividing.nuclear > 0.9].mean()


def test_chromosomes_are_brighter_than_nuclei_and_nucleoli_darker(cell: Cell, dividing: Cell) -> None:
    rng = np.random.default_rng(0)
    nucleus, chromosomes = (paint_references(rng, c, 0)[1] for c in (cell, dividing))
    inside = cell.nuclear > 0.99
    chromatin = nucleus[inside & (cell.nucleoli < 0.05)].mean()
    assert nucleus[inside & (cell.nucleoli > 0.9)].mean() < 0.6 * chromatin
    assert chromosomes[dividing.nuclear > 0.99].mean() > 1.3 * chromatin


def test_microtubules_reach_the_edge_and_go_round_the_nucleus() -> None:
    for seed in range(5):
        cell = cell_at(1, seed)
        core = cell.nucleus & (cell.nucleus_reach < 0.9)
        rim = cell.mask & (cell.reach > 0.8)
        assert cell.fibres[rim].mean() > 0.25 * cell.fibres[cell.cytoplasm].mean()
        assert cell.fibres[core].mean() < 0.6 * cell.fibres[cell.cytoplasm].mean()
        y, x = (int(at) for at in cell.organiser)
        centre = cell.fibres[y - 3 : y + 4, x - 3 : x + 4].mean()
        assert centre > 1.5 * cell.fibres[cell.cytoplasm].mean()


@pytest.mark.parametrize("class_id", PAINTED)
def test_brightness_does_not_change_with_zoom(class_id: int) -> None:
    light: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for zoom, levels in light.items():
        for seed in range(6):
            cell = cell_at(zoom, seed, mitotic=class_id == SPINDLE)
            levels.append(float(painted(cell, class_id, look=seed).shown[cell.mask].mean()))
    small, middle, large = (np.mean(levels) for levels in light.values())
    assert middle == pytest.approx(small, rel=0.15)
    assert large == pytest.approx(small, rel=0.15)


def test_references_do_not_change_with_zoom() -> None:
    levels = []
    for zoom in (1, 2, 4):
        cells = [cell_at(zoom, seed) for seed in range(4)]
        planes = [paint_references(np.random.default_rng(0), cell, 0) for cell in cells]
        levels.append(
            [np.mean([p[k][c.mask].mean() for p, c in zip(planes, cells, strict=True)]) for k in range(3)]
        )
    np.testing.assert_allclose(levels[1:], [levels[0]] * 2, rtol=0.08)


def test_a_sample_has_one_look_and_another_sample_another(cell: Cell) -> None:
    other = cell_at(1, seed=4)

    def haze(cell: Cell, look: int) -> float:
        plane = painted(cell, 0, look=look).faint
        return float(plane[cell.cytoplasm].mean() / cell.dome[cell.cytoplasm].mean())

    within = [haze(cell, look) / haze(other, look) for look in range(20)]
    between = [haze(cell, look) / haze(cell, look + 1) for look in range(20)]
    assert np.std(np.log(within)) < 0.3 * np.std(np.log(between))


def test_difficulty_leaks_everywhere_and_dims_compact_structures(cell: Cell) -> None:
    low, high = conditions_at(0), conditions_at(1)
    for class_id in (0, CLASSES.index("Golgi apparatus")):
        easy, hard = painted(cell, class_id, 0), painted(cell, class_id, 1)
        dimmed = 1 - high.dimming if class_id in COMPACT else 1
        np.testing.assert_allclose(hard.shown, easy.shown * dimmed, rtol=1e-5)
        np.testing.assert_allclose(hard.faint, easy.faint * (high.leak / low.leak), rtol=1e-5)


def test_knobs_move_in_a_line_between_their_ends() -> None:
    assert vars(conditions_at(0)) == {name: low for name, (low, _) in KNOBS.items()}
    assert vars(conditions_at(1)) == {name: high for name, (_, high) in KNOBS.items()}
    assert conditions_at(0.5).photons == pytest.approx(sum(KNOBS["photons"]) / 2)


def test_dots_reach_their_height() -> None:
    plane = dots(np.array([[20.0, 20.0], [99.0, 5.0]]), np.array([0.7, 1.0]), 3.0, (41, 41))
    assert plane[20, 20] == pytest.approx(0.7, rel=0.02)


def walk(allowed: np.ndarray, start: tuple[float, float], gait: Gait, zoom: float = 1) -> Plane:
    """One walk that sets out to the right."""
    return walks(np.random.default_rng(0), np.array([start]), np.zeros(1), gait, allowed, zoom)


@pytest.mark.parametrize("sigma_px", [1.0, 3.0])
@pytest.mark.parametrize("zoom", [1, 2, 4])
def test_a_filament_is_1_bright_at_every_zoom(sigma_px: float, zoom: int) -> None:
    line = walk(np.ones((61, 161), bool), (30.0, 2.0), Gait(300, 0.0), zoom)
    assert thicken(line, sigma_px)[30, 40] == pytest.approx(1, rel=0.02)


def test_a_straight_walk_is_as_long_as_asked() -> None:
    line = walk(np.ones((9, 400), bool), (4.0, 2.0), Gait(300, 0.0))
    assert 150 <= line.sum() <= 300
    assert np.flatnonzero(line.any(axis=1)).tolist() == [4]


def test_walks_turn_at_walls_and_stay_inside() -> None:
    allowed = np.zeros((60, 60), bool)
    allowed[5:55, 5:30] = True
    starts = np.tile([30.0, 20.0], (50, 1))
    lines = walks(np.random.default_rng(0), starts, np.zeros(50), Gait(60, 0.1), allowed, 1.0)
    assert not lines[~allowed].any()
    assert lines[:, 20:30].any(axis=1).sum() > 20  # straight walks would stay on one row


def test_starts_off_the_allowed_are_left_out() -> None:
    allowed = np.zeros((20, 20), bool)
    allowed[:, :5] = True
    starts = np.array([[10.0, 12.0], [-3.0, 2.0], [10.0, 99.0]])
    assert not walks(np.random.default_rng(0), starts, np.zeros(3), Gait(9, 0.1), allowed, 1.0).any()


@pytest.mark.parametrize("shape", [(512, 512), (700, 1100)])
def test_grain_has_its_wavelength_and_a_spread_of_1(shape: tuple[int, int]) -> None:
    plane = grain(np.random.default_rng(0), shape, 8.0)
    assert plane.shape == shape
    assert plane.mean() == pytest.approx(0, abs=0.05)
    assert plane.std() == pytest.approx(1, abs=0.05)
    window = plane[:512, :512]
    power = np.abs(np.fft.rfft2(window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None, :])
    log_mean = np.sum(power * np.log(np.maximum(frequency, 1e-3))) / power.sum()
    assert 1 / np.exp(log_mean) == pytest.approx(8, rel=0.5)
