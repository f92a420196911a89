"""``hpa track``: what W&B shows, as code, and what it has not yet."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Send runs that were kept here to W&B; create or update the dashboard that compares them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Runs = Annotated[Path, typer.Option(help="W&B's folder.")]


@app.command()
def sync(
    runs: Runs = Path("wandb"), dry_run: Annotated[bool, typer.Option(help="List them only.")] = False
) -> None:
    """Send the runs that W&B does not have. Again and again: what is sent stays sent, what failed is tried anew."""
    from common.errors import MachineError
    from common.syncing import sync as send
    from common.syncing import unsent_runs
    from common.tracking import logged_in

    waiting = unsent_runs(runs)
    if not waiting or dry_run:
        print("\n".join([*map(str, waiting), f"{len(waiting)} runs wait in {runs}"]))
        return
    if not logged_in():
        raise MachineError(
            f"{len(waiting)} runs wait in {runs}, and there is no W&B account; run: wandb login"
        )
    done = send(waiting)
    print(f"{len(done.sent)} runs sent, {len(done.running)} still running, {len(done.failed)} failed")
    if done.failed:
        lines = [f"  {run}: {fault}" for run, fault in done.failed]
        raise MachineError("\n".join([f"{len(lines)} runs were not sent; run this again later", *lines]))


@app.command()
def dashboard(
    entity: Annotated[str, typer.Option(envvar="WANDB_ENTITY", help="The user or team of the project.")] = "",
    project: Annotated[str, typer.Option(envvar="WANDB_PROJECT", help="Default: hpa-arena.")] = "hpa-arena",
    spec: Annotated[
        Path | None, typer.Option(help="Written instead: what W&B would be sent, as JSON.")
    ] = None,
    runs: Runs = Path("wandb"),
) -> None:
    """Create the workspace that compares systems, proxies, folds and sweeps, or bring it up to date."""
    import json
    from importlib.util import find_spec

    from common.errors import MachineError, ParamsError
    from common.tracking import logged_in

    if find_spec("wandb_workspaces") is None:
        raise ParamsError("the dashboard needs one more package; run: pip install 'hpa-arena[dashboard]'")
    from common import dashboard as board
    from common.files import atomic

    if spec:
        with atomic(spec) as part:
            part.write_text(json.dumps(board.spec(board.build(entity or "you", project)), indent=1) + "\n")
        return
    if not entity:
        raise ParamsError("whose project is it? give --entity (your W&B user or team) or set WANDB_ENTITY")
    if not logged_in():
        raise MachineError(
            "there is no W&B account; run: wandb login, or write the dashboard with --spec FILE"
        )
    print(board.publish(entity, project, runs / "dashboards.json"))
