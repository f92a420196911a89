"""Learning rates over time: published tables by hand, torch's own cosine, Lightning's clock."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts

from common.errors import ParamsError
from common.params import build
from common.schedules import (
    EpochTable,
    OptimizerParams,
    ScheduleParams,
    WarmUpCosine,
    build_schedule,
    half_cosine,
)


def schedule_of(given: Any) -> ScheduleParams:
    return build(ScheduleParams, given, "recipe.yaml: schedule")


def adam(lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(nn.Linear(1, 1).parameters(), lr)


def rates(given: Any, lr: float, epochs: int, steps: int, count: int) -> list[float]:
    """The rates that ``count`` epochs or steps are made at."""
    optimizer = adam(lr)
    scheduler = build_schedule(optimizer, schedule_of(given), epochs, steps)[0]
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_adam10_is_the_published_table_times_the_multiplier() -> None:
    published = [1e-5, 1e-5, 5e-6, 5e-6, 2e-6, 2e-6, 1e-6, 1e-6, 5e-7, 5e-7, 5e-7]
    for multiplier in (1, 4, 0.3):
        found = rates({"table": {"rows": "adam10"}}, multiplier * 1e-5, 11, 1100, 11)
        assert found == pytest.approx([multiplier * rate for rate in published], rel=1e-12)


def test_an_offset_enters_the_table_later() -> None:
    found = rates({"table": {"rows": "adam10", "offset": 4}}, 1e-5, 6, 600, 6)
    assert found == pytest.approx([2e-6, 2e-6, 1e-6, 1e-6, 5e-7, 5e-7])


def test_any_table_may_be_written_out() -> None:
    found = rates({"table": {"rows": [[2, 0.1], [4, 2.0]]}}, 0.5, 5, 5, 5)
    assert found == pytest.approx([0.5, 0.05, 0.05, 1.0, 1.0])


@pytest.mark.parametrize(("lowest", "period", "epochs"), [(0.0, None, 5), (1e-5, 15, 16)])
def test_cosine_is_that_of_torch(lowest: float, period: int | None, epochs: int) -> None:
    given = {"cosine": {"lowest_lr": lowest, "epochs": period}}
    optimizer = adam(3e-4)
    peer = CosineAnnealingLR(optimizer, period or epochs, lowest)
    expected = []
    for _ in range(epochs):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        peer.step()
    assert rates(given, 3e-4, epochs, 1, epochs) == pytest.approx(expected, rel=1e-9)


def test_cosine_of_system_b_reaches_its_lowest_rate_and_stays_there() -> None:
    found = rates({"cosine": {"lowest_lr": 1e-5, "epochs": 15}}, 3e-4, 20, 1, 20)
    assert found[0] == 3e-4
    assert found[15:] == pytest.approx([1e-5] * 5)
    assert found == sorted(found, reverse=True)


def test_warm_restarts_are_those_of_torch_to_the_last_bit() -> None:
    optimizer = adam(3e-4)
    peer = CosineAnnealingWarmRestarts(optimizer, 3, 2, 1e-6)
    expected = []
    for _ in range(12):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        peer.step()
    given = {"warm_restarts": {"first_period": 3, "period_factor": 2, "lowest_lr": 1e-6}}
    assert rates(given, 3e-4, 12, 1, 12) == expected


def test_warm_up_by_hand() -> None:
    found = rates({"warmup_cosine": {"warmup": 0.2}}, 0.5, 2, 10, 10)
    assert found[:3] == pytest.approx([0.25, 0.5, 0.5])
    assert found[6] == pytest.approx(0.25)  # halfway from step 2 to step 10
    assert 0 < found[9] < 0.03


@given(st.integers(1, 5000), st.floats(0, 0.99))
def test_warm_up_rises_then_falls_and_never_stands_still_at_0(steps: int, warmup: float) -> None:
    shares = [WarmUpCosine(warmup=warmup).share(step, steps) for step in range(steps)]
    top = shares.index(max(shares))
    assert max(shares) == pytest.approx(1)
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert min(shares) > 0


@given(st.integers(1, 12), st.integers(0, 20))
def test_a_table_only_falls_where_its_shares_do(offset: int, epoch: int) -> None:
    table = EpochTable(rows="adam10", offset=offset)
    assert table.share(epoch) == EpochTable(rows="adam10").share(epoch + offset)
    assert table.share(epoch) >= table.share(epoch + 1)


def test_a_resumed_schedule_goes_on_at_the_same_rate() -> None:
    given = {"warmup_cosine": {"warmup": 0.3}}
    expected = rates(given, 0.1, 1, 20, 20)
    first = adam(0.1)
    scheduler = build_schedule(first, schedule_of(given), 1, 20)[0]
    for _ in range(7):
        first.step()
        scheduler.step()
    second = adam(0.1)
    resumed = build_schedule(second, schedule_of(given), 1, 20)[0]
    resumed.load_state_dict(scheduler.state_dict())
    second.load_state_dict(first.state_dict())
    for wanted in expected[7:]:
        assert second.param_groups[0]["lr"] == pytest.approx(wanted)
        second.step()
        resumed.step()


def test_only_the_warm_up_counts_steps() -> None:
    for chosen, clock in (
        ({"table": {"rows": "adam10"}}, "epoch"),
        ({"cosine": {}}, "epoch"),
        ({"warmup_cosine": {}}, "step"),
    ):
        assert build_schedule(adam(0.1), schedule_of(chosen), 2, 20)[1] == clock


def test_half_cosine_ends_at_0() -> None:
    assert [half_cosine(share) for share in (0, 0.5, 1, 7)] == pytest.approx([1, 0.5, 0, 0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "names none; name exactly one of warm_restarts, table, cosine, warmup_cosine"),
        ({"cosine": {}, "warmup_cosine": {}}, "names cosine and warmup_cosine; name exactly one of"),
        ({"table": {"rows": [[3, 0.5], [3, 0.1]]}}, "the epochs of rows do not ascend"),
        ({"table": {"rows": "adam11"}}, ".table.rows"),
        ({"warmup_cosine": {"warmup": 1}}, ".warmup_cosine.warmup: Input should be less than 1"),
    ],
)
def test_nonsense_is_refused_by_name(given: Any, message: str) -> None:
    with pytest.raises(ParamsError) as error:
        schedule_of(given)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_one_kernel_a_step_makes_the_same_steps(name: str) -> None:
    found = []
    for precision in ("16-mixed", "32-true"):
        torch.manual_seed(0)
        network = nn.Conv2d(3, 8, 3)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        given = {"name": name, "lr": 0.1, "weight_decay": 0.01}
        optimizer = build(OptimizerParams, given, "recipe.yaml").build(network.parameters(), precision)
        for _ in range(3):
            network(torch.ones(2, 3, 8, 8)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        found.append(network.weight.detach())
    torch.testing.assert_close(found[0], found[1])
