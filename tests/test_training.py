"""Training learns, keeps the best, repeats exactly, and stops at NaN with the items at fault."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from common import resuming
from common.errors import DataError, MachineError
from common.forward import predict
from common.step import Step
from common.training import fit, fit_chain
from tests.points import SAY_NOTHING, Points, make_network, step_of, train


class Log:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def log(self, data: dict[str, Any]) -> None:
        self.rows.append(data)


def loss_of(network: nn.Module) -> float:
    outputs = torch.from_numpy(predict(network, Points(1), 10))
    return float(binary_cross_entropy(outputs, torch.from_numpy(Points(1).targets)))


def test_training_learns_and_tells_each_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, params = Log(), step_of(patience=3)
    step = Step(make_network(), params.loss)
    history = fit(step, Points(0), Points(1), params, tmp_path, run)
    assert [row["epoch"] for row in history] == list(range(6))
    assert history[-1]["val/loss"] < 0.6 * history[0]["val/loss"]
    assert history[-1]["val/map"] > 0.98
    assert history[0]["lr"] == 0.05 > history[1]["lr"]
    said = capsys.readouterr().out.splitlines()
    for row, logged, line in zip(history, run.rows, said, strict=True):
        assert row.items() <= logged.items()
        assert {"epoch_s", "images/s"} == set(logged) - set(row)  # no output depends on the machine's speed
        assert f"val/loss {row['val/loss']:.4g}, " in line
    valid = Points(1)
    probabilities = predict(step.network, valid, 10)
    assert ((probabilities > 0.5) == (valid.targets > 0)).mean() > 0.9


def test_two_trainings_are_equal(tmp_path: Path) -> None:
    first, second = (train(tmp_path / name, step_of())[0] for name in "ab")
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_best_epochs_are_kept_and_patience_ends_the_rest(tmp_path: Path) -> None:
    network, history = train(tmp_path, step_of(lr=30.0, patience=2, top_k=3, epochs=20))
    losses = [row["val/loss"] for row in history]
    best = sorted(losses)[:3]
    assert len(losses) - 1 - int(np.argmin(losses)) == 2
    assert [value for value, _ in history.kept] == best
    assert loss_of(network) == pytest.approx(best[0], rel=0.2)
    for value, weights in [*history.kept, (losses[-1], history.last)]:
        network.load_state_dict(weights)
        assert loss_of(network) == pytest.approx(value, rel=0.2)


def test_the_last_epoch_may_be_kept(tmp_path: Path) -> None:
    network, history = train(tmp_path, step_of(lr=30.0, keep="last", epochs=3))
    assert history[-1]["val/loss"] > min(row["val/loss"] for row in history)
    assert all(torch.equal(value, history.last[name]) for name, value in network.state_dict().items())


def test_an_average_is_what_is_judged_and_kept(tmp_path: Path) -> None:
    network, history = train(tmp_path, step_of(ema=0.9))
    assert loss_of(network) == pytest.approx(min(row["val/loss"] for row in history), rel=1e-5)
    assert history[-1]["val/loss"] != train(tmp_path / "plain", step_of())[1][-1]["val/loss"]


@pytest.mark.parametrize("count", [22, 32, 17])
def test_accumulated_gradients_are_those_of_one_big_batch(count: int, tmp_path: Path) -> None:
    def weights(name: str, **trainer: Any) -> Tensor:
        params = step_of(**trainer, epochs=2)
        optimizer = params.optimizer.model_copy(update={"name": "sgd", "lr": 1.0})
        network, _ = train(tmp_path / name, params.model_copy(update={"optimizer": optimizer}), count)
        return torch.cat([weight.flatten() for weight in network.parameters()])

    one = weights("one", batch_size=16)
    assert torch.allclose(weights("many", batch_size=4, accumulate=4), one, atol=1e-6)
    assert not torch.allclose(weights("small", batch_size=4), one, atol=1e-3)


def test_gradients_are_cut_to_length(tmp_path: Path) -> None:
    params = step_of(epochs=1, batch_size=64, clip_norm=0.01)
    optimizer = params.optimizer.model_copy(update={"name": "sgd", "lr": 1.0})
    network, _ = train(tmp_path, params.model_copy(update={"optimizer": optimizer}))
    start = make_network().state_dict()
    moved = [(value - start[name]).flatten() for name, value in network.state_dict().items()]
    assert float(torch.cat(moved).norm()) == pytest.approx(0.01, rel=1e-3)


def test_each_step_of_a_chain_goes_on_from_what_the_one_before_kept(tmp_path: Path) -> None:
    steps = {"wild": step_of(lr=30.0, epochs=3), "calm": step_of(lr=1e-9, epochs=2)}
    network = make_network()
    history = fit_chain(network, steps, Points(0), Points(1), tmp_path, SAY_NOTHING).history
    assert [(row["step"], row["epoch"]) for row in history] == [
        *[("wild", epoch) for epoch in range(3)],
        *[("calm", epoch) for epoch in (3, 4)],
    ]
    assert history[3]["val/loss"] == pytest.approx(min(row["val/loss"] for row in history[:3]), rel=1e-5)


def test_a_loss_may_need_more_than_the_logits(tmp_path: Path) -> None:
    shares = []

    class Ramp(Step):
        def training_loss(
            self, forward: Callable[[Tensor], Tensor], pixels: Tensor, targets: Tensor, share: float
        ) -> Tensor:
            shares.append(share)
            return self.loss(forward(pixels), targets) + share * forward(pixels).abs().mean()

    params = step_of(epochs=2, batch_size=32)
    fit(Ramp(make_network(), params.loss), Points(0), Points(1), params, tmp_path, SAY_NOTHING)
    assert shares == [0, 0.25, 0.5, 0.75]


def spoilt(value: float) -> Points:
    data = Points(0)
    data.points[17] = value
    return data


def test_nan_stops_the_training_and_names_its_items(tmp_path: Path) -> None:
    params = step_of()
    step = Step(make_network(), params.loss)
    with pytest.raises(
        DataError, match=r"the loss is nan in epoch 0, batch \d, of .*image-17\b.*; look at these, or"
    ):
        fit(step, spoilt(float("nan")), Points(1), params, tmp_path, SAY_NOTHING)
    assert all(torch.isfinite(weight).all() for weight in step.network.parameters())


def test_an_infinite_gradient_of_a_finite_loss_stops_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cliff(logits: Tensor, targets: Tensor) -> Tensor:
        loss = binary_cross_entropy_with_logits(logits, targets)
        if len(targets) == 4:  # the short last batch
            loss = loss + (logits - logits.detach()).abs().sqrt().sum()  # 0, of infinite slope
        return loss

    monkeypatch.setattr(resuming, "SAVE_EVERY_S", 0.0)
    params, step = step_of(batch_size=6, accumulate=2), Step(make_network(), cliff)
    with pytest.raises(DataError, match=r"the gradient is (nan|inf) in epoch 0, batch 10, of image-\d+, "):
        fit(step, Points(0), Points(1), params, tmp_path, SAY_NOTHING)
    assert all(torch.isfinite(weight).all() for weight in step.network.parameters())
    last = resuming.Checkpoint(tmp_path / "train.ckpt").read()
    assert last is not None
    assert last["batches"] == {"epoch": 0, "done": 10}
    assert all(torch.isfinite(value).all() for value in last["network"].values())


def test_a_monitor_without_a_value_says_why(tmp_path: Path) -> None:
    valid = Points(1)
    valid.targets[:] = 0
    with pytest.raises(DataError, match="val/map is NaN after epoch 0: no validation item is a positive"):
        train(tmp_path, step_of(monitor="val/map"), valid=valid)
    assert np.isnan(train(tmp_path / "other", step_of(), valid=valid)[1][0]["val/map"])


def test_more_devices_than_there_are_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(MachineError, match=r"trainer.devices is 4, this machine has 1 device, its CPU; set"):
        train(tmp_path, step_of(devices=4))
    with pytest.raises(MachineError, match="16-mixed, which needs a GPU"):
        train(tmp_path, step_of(precision="16-mixed"))


class Split(Step):
    """Judges each item twice, by its first class alone."""

    def judged(self, probabilities: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return probabilities[:, :1].repeat(2, 1), targets[:, :1].repeat(2, 1)


def test_a_step_chooses_what_is_judged_and_the_loss_stays_a_mean_over_items(tmp_path: Path) -> None:
    params = step_of(epochs=1)
    rows = []
    for kind in (Step, Split):
        step = kind(make_network(), params.loss)
        rows.append(fit(step, Points(0), Points(1, 30), params, tmp_path / kind.__name__, SAY_NOTHING)[0])
    whole, split = rows
    assert split["val/loss"] == pytest.approx(whole["val/loss"])
    assert split["val/map"] != whole["val/map"]
