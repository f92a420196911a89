"""How commands end: exit codes, signals, and a stage whose DVC was killed."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from tests.running import ROOT, quiet_environment, run_in

STAGE = """
from pathlib import Path
from common.commands import run_stage
{imports}

def main(out: Path) -> None:
    {body}

run_stage(main)
"""


def write_stage(folder: Path, body: str, imports: str = "") -> tuple[str, ...]:
    (folder / "stage.py").write_text(STAGE.format(body=textwrap.dedent(body), imports=imports))
    return (sys.executable, "stage.py", "--out", str(folder / "out"))


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("raise ParamsError('params.yaml: no key')", 2, "error: params.yaml: no key"),
        ("raise DataError('a_red.png: is empty')", 3, "error: a_red.png: is empty"),
        ("raise MissingWeightsError('w.pth: put it there')", 4, "error: w.pth: put it there"),
        ("raise MachineError('out: is being written')", 5, "error: out: is being written"),
        ("raise OSError(28, 'No space left on device', 'crops.bin')", 5, "error: crops.bin: No space left"),
        ("raise MemoryError", 5, "error: out of memory"),
        ("raise KeyboardInterrupt", 130, ""),
    ],
)
def test_an_error_ends_with_its_code_and_one_line(tmp_path: Path, body: str, code: int, message: str) -> None:
    command = write_stage(tmp_path, body, "from common.errors import *")
    done = run_in(tmp_path, *command, check=False, PYTHONPATH=str(ROOT))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_our_own_bug_shows_its_traceback(tmp_path: Path) -> None:
    done = run_in(tmp_path, *write_stage(tmp_path, "1 / 0"), check=False, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def wait_for(path: Path) -> None:
    for _ in range(200):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not appear")


def test_a_terminated_stage_removes_its_part_and_says_143(tmp_path: Path) -> None:
    body = "\n    ".join(
        [
            "with atomic(out) as part:",
            "    part.write_text('half')",
            "    Path('ready').touch()",
            "    time.sleep(60)",
        ]
    )
    command = write_stage(tmp_path, body, "import time\nfrom common.files import atomic")
    environment = quiet_environment() | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as stage:
        wait_for(tmp_path / "ready")
        stage.terminate()
        assert stage.wait(10) == 128 + signal.SIGTERM
    assert {path.name for path in tmp_path.iterdir()} == {"stage.py", "ready"}


def test_a_stage_ends_when_its_dvc_is_killed(tmp_path: Path) -> None:
    command = write_stage(tmp_path, "Path('ready').touch(); time.sleep(60); out.touch()", "import time")
    # Stands in for `dvc repro`: a process with dvc on its command line that runs the stage through a shell.
    (tmp_path / "dvc").write_text("import subprocess, sys; subprocess.run(sys.argv[1], shell=True)")
    environment = quiet_environment() | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "stage"}
    dvc = subprocess.Popen([sys.executable, "dvc", " ".join(command)], cwd=tmp_path, env=environment)
    wait_for(tmp_path / "ready")
    children = psutil.Process(dvc.pid).children(recursive=True)
    os.kill(dvc.pid, signal.SIGKILL)
    dvc.wait()
    _, alive = psutil.wait_procs([p for p in children if "stage.py" in p.cmdline()[1:2]], timeout=10)
    assert not alive
    assert not (tmp_path / "out").exists()
