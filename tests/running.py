"""Runs commands as a user would, without network, account or traces outside the test's folder."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_in(
    folder: Path, *command: str, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in ``folder`` with this Python's tools; a failure shows what it printed."""
    done = subprocess.run(
        command, cwd=folder, env=quiet_environment() | environment, capture_output=True, text=True
    )
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
    return done


def quiet_environment() -> dict[str, str]:
    """The environment of a user who has this project's tools and no account anywhere."""
    tools = str(Path(sys.executable).parent)
    person = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "Tester"), ("EMAIL", "tester@example.org"))
    }
    quiet = {"WANDB_MODE": "disabled", "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_NOSYSTEM": "1"}
    return os.environ | person | quiet | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
