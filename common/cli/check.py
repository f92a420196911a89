"""``hpa check``: everything that is wrong with a data folder, at once."""

from pathlib import Path
from typing import Annotated

import typer

from common.commands import Channels, Pattern


def main(
    folder: Annotated[Path, typer.Argument(help="A competition folder, or one of images.")],
    pattern: Pattern = "",
    channels: Channels = "",
) -> None:
    """Read every table and every pixel of a data folder and list all faults; exits with 3 if there is one."""
    from common.checking import check_folder
    from common.errors import fail_together
    from common.own_images import declared, house_folder

    with house_folder(folder, declared(pattern, channels)) as images:
        report = check_folder(images)
    for warning in report.warnings:
        print(f"warning: {warning}")
    fail_together(report.faults, folder, "mend them before training")
    print(f"{folder}: {report.summary}; no fault")
