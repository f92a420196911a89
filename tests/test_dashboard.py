"""The dashboard as W&B would be sent it: it compares what runs log, and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wandb_workspaces")

from common import dashboard
from common.errors import MachineError
from common.stages.score import KEYS
from common.tracking import MAP_OF

STAGES = ("train", "predict", "score", "blend")
LOGGED = {f"{part}/{key}" for keys in KEYS.values() for key in keys.values() for part in ("val", "test")}
LOGGED |= {*MAP_OF.values(), "val/loss", *(f"{stage}/seconds" for stage in STAGES)}


def texts(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        for value in found.values():
            yield from texts(value)
    elif isinstance(found, list):
        for value in found:
            yield from texts(value)
    elif isinstance(found, str):
        yield found


@pytest.fixture(scope="module")
def sections() -> list[dict[str, Any]]:
    found = dashboard.spec(dashboard.build("someone", "hpa-arena"))
    assert (found["entity"], found["project"], found["displayName"]) == ("someone", "hpa-arena", "HPA Arena")
    return list(found["spec"]["section"]["panelBankConfig"]["sections"])


def test_every_key_that_is_shown_is_one_that_is_logged(sections: list[dict[str, Any]]) -> None:
    shown = set()
    for section in sections:
        for panel in section["panels"]:
            config = {key: value for key, value in panel["config"].items() if key != "chartTitle"}
            shown |= {t.removeprefix("summary:") for t in texts(config) if "/" in t}
    assert shown <= LOGGED
    assert {"val/map_iou60", "test/map_iou60", "val/map_cell_weak", "val/map_image"} <= shown


def test_it_compares_systems_proxies_folds_and_sweeps(sections: list[dict[str, Any]]) -> None:
    names = [section["name"].split(":")[0] for section in sections]
    assert names == ["Systems", "Proxies against the metric", "Folds", "Sweeps", "Seconds a stage takes"]
    groups = [[panel["config"].get("groupBy") for panel in section["panels"]] for section in sections]
    assert groups[0] == ["group", "group"]
    assert {"recipe.value", "fold.value"} == set(groups[2])
    assert groups[3][:2] == ["sweep.value", "dvc.value.exp"]
    axes = [(panel["config"]["xAxis"], panel["config"]["yAxis"]) for panel in sections[1]["panels"]]
    assert ("summary:val/map_cell_weak", "summary:val/map_iou60") in axes


def test_without_an_account_publishing_says_so_and_remembers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(MachineError, match="W&B: "):
        dashboard.publish("someone", "hpa-arena", tmp_path / "dashboards.json")
    assert not (tmp_path / "dashboards.json").exists()
