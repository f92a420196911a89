"""The W&B workspace that compares systems, folds and sweeps, as code; of the keys of ``common.tracking``."""

import json
from pathlib import Path
from typing import Any

import wandb_workspaces.reports.v2 as panels
import wandb_workspaces.workspaces as spaces

from common.errors import DataError
from common.files import atomic
from common.tracking import MAP_OF, server_faults

METRIC = "val/map_iou60"
PROXIES = (*MAP_OF.values(), "val/macro_f1")
NAME = "HPA Arena"


def build(entity: str, project: str) -> spaces.Workspace:
    """The workspace of a project. Runs without a panel's metric are not in that panel."""
    return spaces.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=[_systems(), _proxies(), _folds(), _sweeps(), _costs()],
        settings=spaces.WorkspaceSettings(x_axis="epoch", max_runs=100),
        runset_settings=spaces.RunsetSettings(
            groupby=[spaces.Metric("Group"), spaces.Metric("JobType")],
            order=[spaces.Ordering(spaces.Summary(METRIC), ascending=False)],
            pinned_columns=[
                *(f"summary:{key}" for key in (METRIC, "test/map_iou60", *PROXIES)),
                "config:sweep.value",
            ],
        ),
    )


def _section(name: str, *shown: Any) -> spaces.Section:
    return spaces.Section(name=name, is_open=True, panels=list(shown))


def _systems() -> spaces.Section:
    return _section(
        "Systems: mean average precision at mask IoU 0.6",
        *(
            panels.BarPlot(
                title=f"{key} of the best run", metrics=[key], groupby="Group", groupby_aggfunc="max"
            )
            for key in (METRIC, "test/map_iou60")
        ),
    )


def _proxies() -> spaces.Section:
    return _section(
        "Proxies against the metric: does a proxy rank systems as the metric does?",
        *(
            panels.ScatterPlot(
                title=f"{METRIC} by {key}",
                x=panels.SummaryMetric(key),
                y=panels.SummaryMetric(METRIC),
                regression=True,
            )
            for key in PROXIES
        ),
    )


def _folds() -> spaces.Section:
    def curve(key: str, by: str) -> Any:
        return panels.LinePlot(
            title=f"{key} by {by}",
            x="epoch",
            y=[key],
            groupby=panels.Config(by),
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )

    keys = (*MAP_OF.values(), "val/loss")
    return _section(
        "Folds: trainings by epoch", *(curve(key, by) for key in keys for by in ("recipe", "fold"))
    )


def _sweeps() -> spaces.Section:
    columns: list[Any] = [panels.Config("sweep"), *(panels.SummaryMetric(key) for key in (*PROXIES, METRIC))]
    return _section(
        "Sweeps: name one in the filter, like tags = sweep:lr",
        panels.BarPlot(
            title=f"{METRIC}: best of a sweep",
            metrics=[METRIC],
            groupby=panels.Config("sweep"),
            groupby_aggfunc="max",
        ),
        panels.BarPlot(title=f"{METRIC}: trials", metrics=[METRIC], groupby=panels.Config("dvc.exp")),
        panels.ParallelCoordinatesPlot(
            columns=[panels.ParallelCoordinatesPlotColumn(metric=metric) for metric in columns]
        ),
        panels.ParameterImportancePlot(with_respect_to=METRIC),
    )


def _costs() -> spaces.Section:
    stages = ("train", "predict", "score", "blend")
    return _section(
        "Seconds a stage takes",
        *(
            panels.BarPlot(title=stage, metrics=[f"{stage}/seconds"], groupby="Group", groupby_aggfunc="mean")
            for stage in stages
        ),
    )


def spec(workspace: spaces.Workspace) -> dict[str, Any]:
    """What W&B would be sent, for reading and for tests: the ids in it are random."""
    return dict(json.loads(workspace._to_model().model_dump_json(by_alias=True, exclude_none=True)))


def publish(entity: str, project: str, memory: Path) -> str:
    """Create the workspace on W&B, or bring it up to date where it was created before; return its address.

    Args:
        memory: a JSON file with the addresses of the workspaces that were created from here.

    Raises:
        DataError: there is no such project or view.
        MachineError: W&B cannot be reached, or refuses.
    """
    known: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}
    place, workspace = f"{entity}/{project}", build(entity, project)
    try:
        with server_faults():
            if place in known:
                before = spaces.Workspace.from_url(known[place])
                workspace._internal_name, workspace._internal_id = before._internal_name, before._internal_id
            address = str(workspace.save().url)
    except ValueError as error:  # W&B's word for a view or a project that is not there
        advice = f"delete its line in {memory} if you deleted the workspace"
        raise DataError(f"{place}: {error}; check the names, and {advice}") from None
    with atomic(memory) as part:
        part.write_text(json.dumps(known | {place: address}, indent=1) + "\n")
    return address
